from torch import nn

# one row per layer: what to build, and its arguments
LAYERS = [
    ("conv", {"out_channels": 12, "kernel_size": 3}),
    ("norm", {}),
    ("relu", {}),
    ("conv", {"out_channels": 24, "kernel_size": 3, "stride": 2}),
    ("norm", {}),
    ("relu", {}),
    ("flatten", {"start_dim": 0}),
    ("linear", {"out_features": 32}),
    ("relu", {}),
    ("linear", {"out_features": 10}),
]


class SpecError(ValueError):
    pass


def build(layers, channels, side):
    """Walks through the rows and keeps track of channels, side and number of features."""
    built, features = [], None
    for kind, options in layers:
        if kind == "conv":
            built.append(nn.Conv2d(channels, **options))
            channels = options["out_channels"]
            side = (side - options["kernel_size"]) // options.get("stride", 1) + 1
        elif kind == "norm":
            built.append(nn.BatchNorm2d(channels))
        elif kind == "relu":
            built.append(nn.ReLU())
        elif kind == "flatten":
            built.append(nn.Flatten(**options))
            features = channels * side * side
        elif kind == "linear":
            if features is None:
                raise SpecError("linear before flatten")
            built.append(nn.Linear(features, **options))
            features = options["out_features"]
        else:
            raise SpecError(f"unknown layer {kind!r}")
    return nn.Sequential(*built)
