import numpy as np
import torch
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.sampler import SubsetRandomSampler

import spec

SEED, BATCH, EPOCHS = 31, 60, 2


class Digits(Dataset):
    def __init__(self):
        self.digits = load_digits()

    def __len__(self):
        return self.digits.target.size

    def __getitem__(self, i):
        image = self.digits.images[i].astype(np.float32) / 16
        return image[np.newaxis], int(self.digits.target[i])


def split(n, fraction):
    order = np.random.default_rng(SEED).permutation(n)
    cut = int(n * fraction)
    return order[:cut], order[cut:]


def main():
    torch.manual_seed(SEED)
    digits = Digits()
    fit_idx, val_idx = split(len(digits), 0.8)
    fit = DataLoader(digits, BATCH, sampler=SubsetRandomSampler(fit_idx))
    val = DataLoader(digits, BATCH, sampler=SubsetRandomSampler(val_idx))

    model = spec.build(spec.LAYERS, channels=1, side=8)
    objective = torch.nn.CrossEntropyLoss()
    adam = torch.optim.Adam(model.parameters(), lr=2e-3, betas=(0.9, 0.98))
    decay = torch.optim.lr_scheduler.ExponentialLR(adam, gamma=0.7)
    for epoch in range(EPOCHS):
        model.train()
        for image, digit in fit:
            adam.zero_grad()
            objective(model(image), digit).backward()
            adam.step()
        decay.step()

        model.eval()
        with torch.no_grad():
            wrong = sum(int((model(image).argmax(1) != digit).sum()) for image, digit in val)
        print(f"after epoch {epoch}: {wrong} of {len(val_idx)} wrong")


if __name__ == "__main__":
    main()
