from torch import nn

_BUILDERS = {}


def register(name):
    def add(build):
        _BUILDERS[name] = build
        return build

    return add


@register("shallow")
def shallow(width):
    return nn.Sequential(nn.Linear(3, width), nn.ReLU(), nn.Linear(width, 1))


@register("linear")
def linear(width):
    return nn.Linear(3, 1)


def build(name, width):
    return _BUILDERS[name](width)
