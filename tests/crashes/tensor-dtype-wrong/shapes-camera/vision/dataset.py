import torch
from torch.utils.data import Dataset


class AlbumDataset(Dataset):
    def __init__(self, images, labels, flip=False):
        self.images, self.labels, self.flip = images, labels, flip

    def __len__(self):
        return len(self.images)

    def __getitem__(self, key):
        image = torch.from_numpy(self.images[key]).permute(2, 0, 1)
        if self.flip and torch.rand(()) < 0.5:
            image = image.flip(-1)
        return image, self.labels[key]
