import torch
from torch import nn

torch.manual_seed(0)
n_users, n_items, n_factors = 30, 40, 8
users = torch.randint(0, n_users, (500,))
items = torch.randint(0, n_items, (500,))
ratings = torch.rand(500) * 4 + 1


class MatrixFactorization(nn.Module):
    def __init__(self):
        super().__init__()
        self.user_factors = nn.Embedding(n_users, n_factors)
        self.item_factors = nn.Embedding(n_items, n_factors)
        self.user_bias = nn.Embedding(n_users, 1)
        self.item_bias = nn.Embedding(n_items, 1)
        self.dropout = nn.Dropout(0.1)

    def forward(self, user, item):
        dot = (self.dropout(self.user_factors(user)) * self.item_factors(item)).sum(dim=1)
        return dot + self.user_bias(user).squeeze(1) + self.item_bias(item).squeeze(1)


model = MatrixFactorization()
loss_fn = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.05, weight_decay=1e-5)
order = torch.randperm(500)
train_ids, test_ids = order[:400], order[400:]

for epoch in range(3):
    model.train()
    epoch_loss = 0.0
    for ids in train_ids[torch.randperm(400)].split(50):
        prediction = model(users[ids], items[ids])
        loss = loss_fn(prediction, ratings[ids])

        loss.backward()
        optimizer.step()

        epoch_loss += loss.item()
    model.eval()
    with torch.no_grad():
        test_loss = loss_fn(model(users[test_ids], items[test_ids]), ratings[test_ids])
    print(f"epoch {epoch}: train {epoch_loss / 8:.3f}, test {test_loss.item():.3f}")
