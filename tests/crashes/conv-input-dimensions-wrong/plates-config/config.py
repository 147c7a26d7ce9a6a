"""학습 설정 (settings of the plate reader)."""

CONFIG = {
    "seed": 77,
    "data": {"n_plates": 300, "noise": 0.25, "valid_share": 0.2},
    "model": {
        "in_channels": 3,
        "channels": [8, 16],
        "kernel": 3,
        "n_symbols": 6,
    },
    "optim": {"lr": 4e-3, "epochs": 2, "batch_size": 30},
}
