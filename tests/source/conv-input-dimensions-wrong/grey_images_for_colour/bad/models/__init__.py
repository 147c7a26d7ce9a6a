from .resnet import ResNet, resnet_tiny

__all__ = ["ResNet", "resnet_tiny"]
