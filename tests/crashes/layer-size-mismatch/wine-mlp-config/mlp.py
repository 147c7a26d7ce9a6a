import torch.nn as nn

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh}


def build_mlp(n_in, n_out, widths, dropout=0.0, activation="relu"):
    layers = []
    previous = n_in
    for width in widths:
        layers.append(nn.Linear(previous, width))
        layers.append(ACTIVATIONS[activation]())
        if dropout > 0:
            layers.append(nn.Dropout(dropout))
        previous = width
    layers.append(nn.Linear(widths[0], n_out))
    return nn.Sequential(*layers)
