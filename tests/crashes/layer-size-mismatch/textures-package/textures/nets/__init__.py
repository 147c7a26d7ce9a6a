from textures.nets.deep import DeepTextureNet
from textures.nets.plain import PlainTextureNet

REGISTRY = {"plain": PlainTextureNet, "deep": DeepTextureNet}


def create(name, n_classes):
    if name not in REGISTRY:
        raise KeyError(f"unknown net {name!r}, have {sorted(REGISTRY)}")
    return REGISTRY[name](n_classes)
