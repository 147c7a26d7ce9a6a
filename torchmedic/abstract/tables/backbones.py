"""torchvision's classification models: the width that their head takes, and heads that the user puts in its place.

Source: https://docs.pytorch.org/vision/stable/models.html#classification
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchmedic.abstract.registry import CALLS, CLASSES, called, function
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.tables.events import constant
from torchmedic.abstract.tables.layers import keep
from torchmedic.abstract.values import (
    NOWHERE,
    Arguments,
    Const,
    Object,
    Tensor,
    Unknown,
    Value,
)

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

HOME = "torchvision.models."
BODY = f"{HOME}Body"  # the layers before the head, whose sizes are not followed
NORM = f"{HOME}convnext.LayerNorm2d"
CLASSES[BODY] = ()
called("normalized_shape", NORM)(keep)

# One linear layer: name of the attribute, its width.
_LINEAR = {
    "resnet18": ("fc", 512), "resnet34": ("fc", 512), "resnet50": ("fc", 2048), "resnet101": ("fc", 2048),
    "resnet152": ("fc", 2048), "resnext50_32x4d": ("fc", 2048), "resnext101_32x8d": ("fc", 2048),
    "resnext101_64x4d": ("fc", 2048), "wide_resnet50_2": ("fc", 2048), "wide_resnet101_2": ("fc", 2048),
    "googlenet": ("fc", 1024), "inception_v3": ("fc", 2048),
    "densenet121": ("classifier", 1024), "densenet161": ("classifier", 2208), "densenet169": ("classifier", 1664),
    "densenet201": ("classifier", 1920), "swin_t": ("head", 768), "swin_s": ("head", 768), "swin_b": ("head", 1024),
}  # fmt: skip
_VGG = tuple(f"vgg{n}{bn}" for n in (11, 13, 16, 19) for bn in ("", "_bn"))
_VIT = {"vit_b_16": 768, "vit_b_32": 768, "vit_l_16": 1024, "vit_l_32": 1024, "vit_h_14": 1280}
# `classifier` is Dropout, Linear.
_DROPPED = {
    "mobilenet_v2": 1280, "efficientnet_b0": 1280, "efficientnet_b1": 1280, "efficientnet_b2": 1408,
    "efficientnet_b3": 1536, "efficientnet_b4": 1792, "efficientnet_b5": 2048, "efficientnet_b6": 2304,
    "efficientnet_b7": 2560, "efficientnet_v2_s": 1280, "efficientnet_v2_m": 1280, "efficientnet_v2_l": 1280,
    "mnasnet1_0": 1280,
}  # fmt: skip
_MOBILE = {"mobilenet_v3_large": (960, 1280), "mobilenet_v3_small": (576, 1024)}
_CONVNEXT = {
    "convnext_tiny": 768,
    "convnext_small": 768,
    "convnext_base": 1024,
    "convnext_large": 1536,
}
_SQUEEZE = ("squeezenet1_0", "squeezenet1_1")
_AUXILIARY = ("googlenet", "inception_v3")  # in training their result is a tuple


def _layer(machine: Machine, name: str, *sizes: int | Value) -> Object:
    """A layer that torchvision makes: it has no place in the user's source."""
    values = [Const(s) if isinstance(s, int) else s for s in sizes]
    layer = machine.construct(f"torch.nn.{name}", Arguments(NOWHERE, values, {}))
    layer.made, layer.place = (), None
    return layer


def _chain(*layers: Object) -> Object:
    return Object(type="torch.nn.Sequential", items=layers)


def _head(machine: Machine, name: str, classes: Value) -> tuple[str, Object, int]:
    """(attribute, module, width of what goes in)."""
    if name in _LINEAR:
        attribute, width = _LINEAR[name]
        return attribute, _layer(machine, "Linear", width, classes), width
    if name in _VGG or name == "alexnet":
        width = 9216 if name == "alexnet" else 25088
        first, second = (
            _layer(machine, "Linear", width, 4096),
            _layer(machine, "Linear", 4096, 4096),
        )
        drop, relu, last = "Dropout", "ReLU", _layer(machine, "Linear", 4096, classes)
        layers = [
            first,
            _layer(machine, relu),
            _layer(machine, drop),
            second,
            _layer(machine, relu),
        ]
        if name == "alexnet":
            return "classifier", _chain(_layer(machine, drop), *layers, last), width
        return "classifier", _chain(*layers, _layer(machine, drop), last), width
    if name in _MOBILE:
        width, middle = _MOBILE[name]
        parts = (
            _layer(machine, "Linear", width, middle),
            _layer(machine, "Hardswish"),
            _layer(machine, "Dropout"),
        )
        return "classifier", _chain(*parts, _layer(machine, "Linear", middle, classes)), width
    if name in _CONVNEXT:
        width = _CONVNEXT[name]
        norm = Object(type=NORM, settings={"normalized_shape": Const(width)})
        return (
            "classifier",
            _chain(norm, _layer(machine, "Flatten", 1), _layer(machine, "Linear", width, classes)),
            width,
        )
    if name in _SQUEEZE:
        parts = (
            _layer(machine, "Dropout"),
            _layer(machine, "Conv2d", 512, classes, 1),
            _layer(machine, "ReLU"),
        )
        return "classifier", _chain(*parts, _layer(machine, "AdaptiveAvgPool2d", 1)), 512
    if name in _VIT:
        heads = Object(type="torch.nn.Sequential")
        heads.attributes["head"] = _layer(machine, "Linear", _VIT[name], classes)
        heads.state["is_open"] = True
        return "heads", heads, _VIT[name]
    width = _DROPPED[name]
    return (
        "classifier",
        _chain(_layer(machine, "Dropout"), _layer(machine, "Linear", width, classes)),
        width,
    )


def made(machine: Machine, name: str, arguments: Arguments) -> Object:
    classes = arguments.get(None, "num_classes") or Const(1000)
    model = Object(type=HOME + name, made=machine.sites(), place=machine.place())
    model.state["is_open"] = True
    attribute, head, width = _head(machine, name, classes)
    if attribute == "fc" and name.startswith(("resne", "wide")):
        model.attributes["conv1"] = _layer(machine, "Conv2d", 3, 64, 7, 2, 3)
        model.attributes["bn1"] = _layer(machine, "BatchNorm2d", 64)
    elif name not in _VIT:
        body = Object(type=BODY, state={"is_open": True})
        kind = (
            "Dropout"
            if name in ("alexnet", *_SQUEEZE) or (name in _VGG and "bn" not in name)
            else "BatchNorm2d"
        )
        if not name.startswith(("swin", "convnext")):
            body.attributes["inner"] = _layer(
                machine, kind, *([64] if kind == "BatchNorm2d" else [])
            )
        model.attributes["features"] = body
    model.attributes[attribute] = head
    model.state |= {"head": attribute, "width": width, "given": head.id}
    return model


def _call(machine: Machine, model: Object, arguments: Arguments) -> Value:
    """(N, 3, H, W) -> (N, classes), through whatever the head is by now."""
    value = arguments.get(0, "x") or Unknown()
    name = model.type.removeprefix(HOME)
    first = model.attributes.get("conv1")
    if isinstance(first, Object):
        machine.call(first, Arguments(arguments.node, [value], {}))
    batch = (
        value.shape[0]
        if isinstance(value, Tensor) and value.shape and len(value.shape) == 4
        else Size.fresh("batch")
    )
    width = Size.of(model.state["width"])
    sizes = (batch, width)
    if name in (*_CONVNEXT, *_SQUEEZE):
        side = Size.of(1) if name in _CONVNEXT else Size.fresh("side")
        sizes = (batch, width, side, side)  # type: ignore[assignment]
    features = machine.derived(
        value, shape=sizes, dtype="float32", has_parameters=True, layer=model
    )
    head = model.attributes.get(model.state["head"])
    if name in _AUXILIARY and model.training is not False:
        return machine.unknown(features)
    if isinstance(head, Object) and head.id == model.state["given"] and name in _VIT:
        head = head.attributes.get("head")
    if not isinstance(head, Value):
        return machine.unknown(features)
    result = machine.call(head, Arguments(arguments.node, [features], {}))
    if name in _SQUEEZE and isinstance(result, Tensor) and result.shape is not None:
        classes = result.shape[1] if len(result.shape) > 1 else Size.fresh("n")
        return machine.derived(result, shape=(batch, classes), dtype=result.dtype)
    return result


def _body(machine: Machine, layer: Object, arguments: Arguments) -> Value:
    return machine.derived(arguments.get(0) or Unknown(), has_parameters=True, layer=layer)


CALLS[BODY] = _body
NAMES = (*_LINEAR, *_VGG, "alexnet", *_VIT, *_DROPPED, *_MOBILE, *_CONVNEXT, *_SQUEEZE)


def _register(name: str) -> None:
    CALLS[HOME + name] = _call

    @function(HOME + name)
    def work(machine: Machine, arguments: Arguments) -> Value:
        return made(machine, name, arguments)


for _name in NAMES:
    _register(_name)


@function(f"{HOME}get_model")
def _get_model(machine: Machine, arguments: Arguments) -> Value:
    name = constant(arguments.get(0, "name"))
    return made(machine, name, arguments) if isinstance(name, str) and name in NAMES else Unknown()
