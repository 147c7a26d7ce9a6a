import torch
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch.utils.data import Dataset


class Bottles(Dataset):
    def __init__(self, measurements, cultivars):
        self.measurements = torch.as_tensor(measurements, dtype=torch.float32)
        self.cultivars = torch.as_tensor(cultivars, dtype=torch.long)

    def __len__(self):
        return len(self.cultivars)

    def __getitem__(self, index):
        return {"measurements": self.measurements[index], "cultivar": self.cultivars[index]}


def cellar(seed):
    wine = load_wine()
    split = train_test_split(wine.data, wine.target, test_size=0.25, random_state=seed)
    x_train, x_test, y_train, y_test = split
    scaler = StandardScaler().fit(x_train)
    return Bottles(scaler.transform(x_train), y_train), Bottles(scaler.transform(x_test), y_test)
