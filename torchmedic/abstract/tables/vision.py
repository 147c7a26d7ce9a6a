"""torchvision's datasets and transforms, as documented.

Sources: https://docs.pytorch.org/vision/stable/datasets.html and
https://docs.pytorch.org/vision/stable/transforms.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from torchmedic.abstract.expressions import from_size, size_of
from torchmedic.abstract.registry import called, constructor, made, method
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.tables.events import constant
from torchmedic.abstract.tables.images import IMAGE, picture, resized
from torchmedic.abstract.tables.tensors import dtype_named, retyped, sizes_in
from torchmedic.abstract.values import (
    NOWHERE,
    Arguments,
    Const,
    Number,
    Object,
    Sequence,
    Tensor,
    Unknown,
    Value,
)

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

DATA = "torchvision.datasets."
HOME = "torchvision.transforms."

# --- datasets of (image, label)

# name: channels, pixels on a side, items in training and test, kind of `data` ("tensor" or "array")
_TRAINED = {
    "MNIST": (1, 28, 60000, 10000, "tensor"),
    "FashionMNIST": (1, 28, 60000, 10000, "tensor"),
    "KMNIST": (1, 28, 60000, 10000, "tensor"),
    "CIFAR10": (3, 32, 50000, 10000, "array"),
    "CIFAR100": (3, 32, 50000, 10000, "array"),
}
# name: channels, pixels on a side, items by split
_SPLIT = {
    "SVHN": (3, 32, {"train": 73257, "test": 26032, "extra": 531131}),
    "STL10": (3, 96, {"train": 5000, "test": 8000}),
}
constructor(
    "root, train=True, transform=None, target_transform=None, download=False",
    *(DATA + n for n in _TRAINED),
)
constructor(
    "root, split='train', transform=None, target_transform=None, download=False", f"{DATA}SVHN"
)
constructor(
    "root, split='train', folds=None, transform=None, target_transform=None, download=False",
    f"{DATA}STL10",
)
constructor(
    "root, split, train=True, transform=None, target_transform=None, download=False",
    f"{DATA}EMNIST",
)
constructor(
    "root, transform=None, target_transform=None, loader=None, is_valid_file=None, allow_empty=False",
    f"{DATA}ImageFolder",
)
constructor(
    "size=1000, image_size=None, num_classes=10, transform=None, target_transform=None, random_offset=0",
    f"{DATA}FakeData",
)
_ALL = (*_TRAINED, *_SPLIT, "EMNIST", "ImageFolder", "FakeData")


def _count(thing: Object, name: str) -> Size | None:
    if name in _TRAINED:
        train = thing.settings.get("train", Const(True))
        plain = constant(train)
        _, _, training, test, _ = _TRAINED[name]
        return Size.of(training if plain else test) if isinstance(plain, bool) else None
    if name in _SPLIT:
        split = constant(thing.settings.get("split", Const("train")))
        folds = constant(thing.settings.get("folds"))
        count = _SPLIT[name][2].get(split) if isinstance(split, str) and folds is None else None
        return Size.of(count) if count is not None else None
    if name == "FakeData":
        return size_of(thing.settings.get("size", Const(1000)))
    return None


def _image(thing: Object, name: str) -> Object:
    if name in _TRAINED or name in _SPLIT:
        channels, side = _TRAINED[name][:2] if name in _TRAINED else _SPLIT[name][:2]
        return picture(channels, Size.of(side), Size.of(side))
    if name == "EMNIST":
        return picture(1, Size.of(28), Size.of(28))
    if name == "FakeData":
        given = thing.settings.get("image_size")
        sizes = [Size.of(n) for n in (3, 224, 224)] if given is None else sizes_in([given])
        if sizes is not None and len(sizes) == 3 and sizes[0] is not None:
            return picture(sizes[0].constant, sizes[1], sizes[2])
        return picture(None)
    given = thing.settings.get("loader")
    return picture(
        3 if given is None or (isinstance(given, Const) and given.value is None) else None
    )


def _dataset(name: str) -> None:
    kind = DATA + name

    @made(kind)
    def construct(machine: Machine, thing: Object, arguments: Arguments) -> Value:
        size = _count(thing, name)
        thing.state["length"] = size if size is not None else Size.fresh("len")
        length = thing.state["length"]
        if name in _TRAINED:
            channels, side, _, _, form = _TRAINED[name]
            pixels = (
                length,
                Size.of(side),
                Size.of(side),
                *((Size.of(3),) if channels == 3 else ()),
            )
            library = "torch" if form == "tensor" else "numpy"
            thing.attributes["data"] = Tensor(
                False, shape=pixels, dtype="uint8", library=library, made=machine.place()
            )
            targets: Value = Tensor(False, shape=(length,), dtype="int64", made=machine.place())
            if form == "array":
                targets = Sequence("list", rest=Number(Size.fresh("label")), length=length)
            thing.attributes["targets"] = targets
        elif name == "ImageFolder":
            pair = Sequence("tuple", (Unknown(False, hint="str"), Number(Size.fresh("label"))))
            for listed in ("samples", "imgs"):
                thing.attributes[listed] = Sequence("list", rest=pair, length=length)
            thing.attributes["targets"] = Sequence(
                "list", rest=Number(Size.fresh("label")), length=length
            )
        for option in ("transform", "target_transform"):
            thing.attributes[option] = thing.settings.get(option, Const(None))
        return thing

    @method(kind, "__len__")
    def length(machine: Machine, thing: Object, arguments: Arguments) -> Value:
        return from_size(thing.state.get("length") or Size.fresh("len"))

    @method(kind, "__getitem__")
    def item(machine: Machine, thing: Object, arguments: Arguments) -> Value:
        image: Value = _image(thing, name)
        label: Value = Number(Size.fresh("label"))
        return Sequence(
            "tuple",
            (
                _applied(machine, thing, "transform", image),
                _applied(machine, thing, "target_transform", label),
            ),
        )


def _applied(machine: Machine, thing: Object, option: str, value: Value) -> Value:
    work = thing.attributes.get(option)
    if not isinstance(work, Value) or (isinstance(work, Const) and work.value is None):
        return value
    return machine.call(work, Arguments(NOWHERE, [value], {}))


for _name in _ALL:
    _dataset(_name)

# --- transforms: (channels, height, width)


def _hw(value: Value) -> tuple[Size, Size] | None:
    """Height and width of an image, or of a tensor (…, height, width)."""
    if isinstance(value, Object) and value.type == IMAGE:
        return value.state["height"], value.state["width"]
    if (
        isinstance(value, Tensor)
        and value.library == "torch"
        and value.shape
        and len(value.shape) >= 2
    ):
        return value.shape[-2], value.shape[-1]
    return None


def _with_hw(machine: Machine, value: Value, height: Size, width: Size) -> Value:
    if isinstance(value, Object) and value.type == IMAGE:
        return resized(value, height, width)
    if isinstance(value, Tensor) and value.shape and len(value.shape) >= 2:
        shape = (*value.shape[:-2], height, width)
        return Tensor(False, shape=shape, dtype=value.dtype, device=value.device, made=value.made)
    return machine.unknown(value)


def _first(arguments: Arguments) -> Value:
    return arguments.get(0, "pic", "img", "tensor", "image", "inpt") or Unknown()


@called("transforms", f"{HOME}Compose")
def _compose(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    value, steps = _first(arguments), thing.settings.get("transforms")
    if not isinstance(steps, Sequence) or not steps.is_exact:
        return machine.unknown(value)
    for step in steps.items:
        if isinstance(step, Const):
            return machine.unknown(value)
        value = machine.call(step, Arguments(arguments.node, [value], {}))
    return value


def _to_tensor(machine: Machine, value: Value, keeps_bytes: bool) -> Value:
    if isinstance(value, Object) and value.type == IMAGE:
        channels = value.state["channels"]
        dtype = "uint8" if keeps_bytes else "float32" if channels is not None else ""
        first = Size.of(channels) if channels is not None else Size.fresh("channels")
        sizes = (first, value.state["height"], value.state["width"])
        return Tensor(False, shape=sizes, dtype=dtype, device="cpu", made=machine.place())
    shape: tuple[Size, ...] | None
    if isinstance(value, Tensor) and value.library == "numpy":
        dtype = "float32" if value.dtype == "uint8" and not keeps_bytes else value.dtype
        shape = None
        if value.shape is not None and len(value.shape) == 2:
            shape = (Size.of(1), *value.shape)
        elif value.shape is not None and len(value.shape) == 3:
            shape = (value.shape[2], *value.shape[:2])
        place = value.made if dtype == value.dtype else machine.place()
        return Tensor(False, shape=shape, dtype=dtype, device="cpu", made=place)
    return machine.unknown(value)


@called("", f"{HOME}ToTensor")
def _as_tensor(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    return _to_tensor(machine, _first(arguments), False)


@called("", f"{HOME}PILToTensor", f"{HOME}ToImage")
def _as_bytes(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    value = _first(arguments)
    if thing.type.endswith("ToImage") and isinstance(value, Tensor) and value.library == "torch":
        return value
    return _to_tensor(machine, value, True)


@called("", f"{HOME}ToPILImage")
def _as_image(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    value = _first(arguments)
    sizes = _hw(value)
    if (
        sizes is None
        or not isinstance(value, Tensor)
        or value.shape is None
        or len(value.shape) != 3
    ):
        return picture(None)
    return picture(value.shape[0].constant, *sizes)


@called("dtype=None, scale=False", f"{HOME}ToDtype", f"{HOME}ConvertImageDtype")
def _to_dtype(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    value = _first(arguments)
    given = thing.settings.get("dtype")
    dtype = dtype_named(given) if given is not None else "float32"
    if not isinstance(value, Tensor):
        return value if isinstance(value, Object) else machine.unknown(value)
    return retyped(machine, value, dtype)


@called("size, interpolation=None, max_size=None, antialias=True", f"{HOME}Resize")
def _resize(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    """A pair is height and width; a number is the shorter side."""
    value, size = _first(arguments), thing.settings.get("size")
    old = _hw(value)
    wanted = sizes_in([size]) if size is not None else None
    if wanted is None or None in wanted or "max_size" in thing.settings:
        return _with_hw(machine, value, Size.fresh("height"), Size.fresh("width"))
    told = [w for w in wanted if w is not None]
    if len(told) == 2:
        return _with_hw(machine, value, told[0], told[1])
    if old is None:
        return machine.unknown(value)
    height, width = _shorter_side(old, told[0])
    return _with_hw(machine, value, height, width)


def _shorter_side(old: tuple[Size, Size], size: Size) -> tuple[Size, Size]:
    height, width = old
    if height == width:
        return size, size
    h, w, short = height.constant, width.constant, size.constant
    if h is None or w is None or short is None:
        return Size.fresh("height"), Size.fresh("width")
    if h <= w:
        return size, Size.of(int(short * w / h))
    return Size.of(int(short * h / w)), size


def _exact(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    """Whatever comes in: height and width as `size` says, both the same where it is a number."""
    size = thing.settings.get("size")
    wanted = sizes_in([size]) if size is not None else None
    told = [w if w is not None else Size.fresh("n") for w in wanted or []]
    if len(told) not in (1, 2):
        told = [Size.fresh("height"), Size.fresh("width")]
    return _with_hw(machine, _first(arguments), told[0], told[-1])


called("size", f"{HOME}CenterCrop")(_exact)
called(
    "size, padding=None, pad_if_needed=False, fill=0, padding_mode='constant'", f"{HOME}RandomCrop"
)(_exact)
called(
    "size, scale=None, ratio=None, interpolation=None, antialias=True", f"{HOME}RandomResizedCrop"
)(_exact)


@called("padding, fill=0, padding_mode='constant'", f"{HOME}Pad")
def _pad(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    value = _first(arguments)
    old, by = _hw(value), size_of(thing.settings.get("padding"))
    if old is None or by is None:
        return _with_hw(machine, value, Size.fresh("height"), Size.fresh("width"))
    return _with_hw(machine, value, old[0] + by * 2, old[1] + by * 2)


@called("num_output_channels=1", f"{HOME}Grayscale")
def _grayscale(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    value = _first(arguments)
    count = constant(thing.settings.get("num_output_channels", Const(1)))
    sizes = _hw(value)
    if sizes is None or type(count) is not int:
        return machine.unknown(value)
    if isinstance(value, Object):
        return picture(count, *sizes)
    assert isinstance(value, Tensor) and value.shape is not None
    shape = (*value.shape[:-3], Size.of(count), *sizes) if len(value.shape) >= 3 else None
    return Tensor(False, shape=shape, dtype=value.dtype, device=value.device, made=value.made)


@called("lambd", f"{HOME}Lambda")
def _lambda(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    work = thing.settings.get("lambd")
    return (
        machine.call(work, Arguments(arguments.node, [_first(arguments)], {}))
        if work
        else Unknown()
    )


def _kept(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    value = _first(arguments)
    expand = thing.settings.get("expand")
    if expand is not None and machine.truth(expand) is not False:
        return _with_hw(machine, value, Size.fresh("height"), Size.fresh("width"))
    return value


_KEPT: Callable[..., Value] = _kept
called("mean, std, inplace=False", f"{HOME}Normalize")(_KEPT)
called("p=0.5", *(HOME + n for n in ("RandomHorizontalFlip", "RandomVerticalFlip", "RandomGrayscale", "RandomInvert",
       "RandomAutocontrast", "RandomEqualize")))(_KEPT)  # fmt: skip
called("degrees, interpolation=None, expand=False, center=None, fill=0", f"{HOME}RandomRotation")(
    _KEPT
)
called("degrees, translate=None, scale=None, shear=None", f"{HOME}RandomAffine")(_KEPT)
called("brightness=0, contrast=0, saturation=0, hue=0", f"{HOME}ColorJitter")(_KEPT)
called("p=0.5, scale=None, ratio=None, value=0, inplace=False", f"{HOME}RandomErasing")(_KEPT)
called("kernel_size, sigma=None", f"{HOME}GaussianBlur")(_KEPT)
called("distortion_scale=0.5, p=0.5", f"{HOME}RandomPerspective")(_KEPT)
called("", *(HOME + n for n in ("RandAugment", "TrivialAugmentWide", "AutoAugment", "AugMix")))(
    _KEPT
)
