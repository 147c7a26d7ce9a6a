import torch
from torch.utils.data import Dataset


class ToTensor:
    def __call__(self, picture):
        return torch.from_numpy(picture).float()


class Normalise:
    def __init__(self, mean, std):
        self.mean = mean
        self.std = std

    def __call__(self, tensor):
        return (tensor - self.mean) / self.std


class FruitDataset(Dataset):
    def __init__(self, pictures, ripeness, transforms=()):
        self.pictures = pictures
        self.ripeness = ripeness
        self.transforms = transforms

    def __len__(self):
        return len(self.pictures)

    def __getitem__(self, idx):
        picture = self.pictures[idx]
        for transform in self.transforms:
            picture = transform(picture)
        return picture, torch.tensor(self.ripeness[idx])
