import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, random_split


class Ratings(Dataset):
    def __init__(self, users, films, stars):
        self.users = users
        self.films = films
        self.stars = stars

    def __len__(self):
        return len(self.stars)

    def __getitem__(self, n):
        user = torch.tensor(self.users[n])
        film = torch.tensor(self.films[n])
        return user, film, torch.tensor(self.stars[n], dtype=torch.float32)


def make_ratings(users, films, count):
    generator = np.random.default_rng(4)
    who = generator.integers(0, users, count)
    what = generator.integers(0, films, count)
    taste = generator.normal(size=(users, 2)) @ generator.normal(size=(2, films))
    return who, what, taste[who, what]


class Factors(nn.Module):
    def __init__(self, users, films, dim=8):
        super().__init__()
        self.user = nn.Embedding(users, dim)
        self.film = nn.Embedding(films, dim)
        self.user_bias = nn.Embedding(users, 1)
        self.film_bias = nn.Embedding(films, 1)

    def forward(self, user, film):
        score = (self.user(user) * self.film(film)).sum(dim=1)
        return score + self.user_bias(user).squeeze(1) + self.film_bias(film).squeeze(1)


def evaluate(model, loader):
    model.eval()
    squared, count = 0.0, 0
    with torch.no_grad():
        for user, film, stars in loader:
            squared += (model(user, film) - stars).pow(2).sum().item()
            count += len(stars)
    return (squared / count) ** 0.5


def main():
    torch.manual_seed(9)
    who, what, stars = make_ratings(40, 60, 500)
    dataset = Ratings(who, what, stars)
    train_set, test_set = random_split(dataset, [400, 100])
    train_loader = DataLoader(train_set, batch_size=64, shuffle=True)
    test_loader = DataLoader(test_set, batch_size=64)
    model = Factors(40, 60)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for epoch in range(3):
        model.train()
        for user, film, stars in train_loader:
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(user, film), stars)
            loss.backward()
            optimizer.step()
        print(epoch, f"{evaluate(model, test_loader):.3f}")


main()
