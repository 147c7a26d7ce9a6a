CONFIG = {
    "seed": 7,
    "data": {"test_fraction": 0.25, "batch_size": 16},
    "model": {"widths": [64, 48, 24], "dropout": 0.1, "activation": "gelu"},
    "optim": {"lr": 3e-3, "weight_decay": 1e-2, "epochs": 5},
}
