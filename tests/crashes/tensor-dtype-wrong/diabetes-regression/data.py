import torch
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch.utils.data import DataLoader, Dataset


class DiabetesDataset(Dataset):
    def __init__(self, x, y):
        self.x = x
        self.y = y

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        features = torch.from_numpy(self.x[i])
        progression = torch.tensor([self.y[i] / 100.0], dtype=torch.float32)
        return features, progression


def get_loaders(batch_size, seed=0):
    x, y = load_diabetes(return_X_y=True, scaled=False)
    x_train, x_val, y_train, y_val = train_test_split(x, y, test_size=0.2, random_state=seed)
    scaler = StandardScaler().fit(x_train)
    train = DiabetesDataset(scaler.transform(x_train), y_train)
    val = DiabetesDataset(scaler.transform(x_val), y_val)
    return (
        DataLoader(train, batch_size=batch_size, shuffle=True),
        DataLoader(val, batch_size=batch_size),
    )
