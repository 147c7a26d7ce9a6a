"""Pictures: PIL and OpenCV, and what arrays they become.

Sources: https://pillow.readthedocs.io/en/stable/reference/Image.html and
https://docs.opencv.org/4.x/d4/da8/group__imgcodecs.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchmedic.abstract.expressions import from_size
from torchmedic.abstract.registry import constructor, function, method
from torchmedic.abstract.sizes import Size
from torchmedic.abstract.tables.events import constant
from torchmedic.abstract.tables.tensors import sizes_in
from torchmedic.abstract.values import Arguments, Object, Sequence, Tensor, Unknown, Value

if TYPE_CHECKING:
    from torchmedic.abstract.program import Machine

IMAGE = "PIL.Image.Image"
CHANNELS = {"L": 1, "1": 1, "RGB": 3, "RGBA": 4, "CMYK": 4, "YCbCr": 3, "HSV": 3, "P": 1}
constructor("", IMAGE)


def picture(channels: int | None, height: Size | None = None, width: Size | None = None) -> Object:
    """A PIL image. None: unknown, but the same in all that is made of it."""
    height = height if height is not None else Size.fresh("height")
    width = width if width is not None else Size.fresh("width")
    made = Object(type=IMAGE, state={"channels": channels, "height": height, "width": width})
    made.attributes["size"] = Sequence("tuple", (from_size(width), from_size(height)))
    made.attributes |= {"height": from_size(height), "width": from_size(width)}
    return made


def resized(image: Object, height: Size, width: Size) -> Object:
    return picture(image.state.get("channels"), height, width)


def array_shape(image: Object) -> tuple[Size, ...] | None:
    """Of `np.array(image)`: (height, width, channels), without channels where there is one."""
    channels, height, width = (image.state.get(k) for k in ("channels", "height", "width"))
    if channels is None or not isinstance(height, Size) or not isinstance(width, Size):
        return None
    return (height, width) if channels == 1 else (height, width, Size.of(channels))


@function("PIL.Image.open")
def _open(machine: Machine, arguments: Arguments) -> Value:
    return picture(None)


@function("PIL.Image.new")
def _new(machine: Machine, arguments: Arguments) -> Value:
    size = arguments.get(1, "size")
    sizes = sizes_in([size]) if size is not None else None
    width, height = sizes if sizes is not None and len(sizes) == 2 else (None, None)
    mode = constant(arguments.get(0, "mode"))
    return picture(CHANNELS.get(mode) if isinstance(mode, str) else None, height, width)


@function("PIL.Image.fromarray")
def _from_array(machine: Machine, arguments: Arguments) -> Value:
    value = arguments.get(0, "obj")
    shape = value.shape if isinstance(value, Tensor) else None
    if shape is None or arguments.get(1, "mode") is not None:
        return picture(None)
    channels = Size.of(1) if len(shape) == 2 else shape[2] if len(shape) == 3 else None
    return picture(channels.constant if channels is not None else None, *shape[:2])


@method(IMAGE, "convert")
def _convert(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    mode = constant(arguments.get(0, "mode"))
    channels = CHANNELS.get(mode) if isinstance(mode, str) else None
    return picture(channels, thing.state["height"], thing.state["width"])


@method(IMAGE, "resize")
def _resize(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    """`size` is (width, height)."""
    size = arguments.get(0, "size")
    sizes = sizes_in([size]) if isinstance(size, Sequence) else None
    if sizes is None or len(sizes) != 2:
        return picture(thing.state["channels"])
    width, height = sizes
    return picture(thing.state["channels"], height, width)


@method(IMAGE, "copy", "transpose", "filter", "point", "rotate", "crop", "thumbnail")
def _changed(machine: Machine, thing: Object, arguments: Arguments) -> Value:
    name = machine.name_of(arguments.node).rpartition(".")[2]
    if name in ("copy", "filter", "point"):
        return thing
    return picture(thing.state["channels"])


@function("PIL.ImageOps.grayscale")
def _grayscale(machine: Machine, arguments: Arguments) -> Value:
    value = arguments.get(0, "image")
    is_known = isinstance(value, Object) and value.type == IMAGE
    return picture(1, value.state["height"], value.state["width"]) if is_known else picture(1)  # type: ignore[union-attr]


# --- OpenCV: (height, width, 3) of uint8, or None for a file that it can't read


@function("cv2.imread")
def _imread(machine: Machine, arguments: Arguments) -> Value:
    flag = arguments.get(1, "flags")
    name = getattr(flag, "name", "").rpartition(".")[2] if flag is not None else "IMREAD_COLOR"
    sizes = (Size.fresh("height"), Size.fresh("width"))
    shape: tuple[Size, ...] | None = None
    if name == "IMREAD_COLOR" or constant(flag) == 1:
        shape = (*sizes, Size.of(3))
    elif name == "IMREAD_GRAYSCALE" or (
        flag is not None and type(constant(flag)) is int and constant(flag) == 0
    ):
        shape = sizes
    dtype = "uint8" if shape is not None else ""
    return Tensor(False, shape=shape, dtype=dtype, library="numpy", made=machine.place())


@function("cv2.resize")
def _cv_resize(machine: Machine, arguments: Arguments) -> Value:
    """`dsize` is (width, height); channels and dtype stay."""
    value, size = arguments.get(0, "src"), arguments.get(1, "dsize")
    sizes = sizes_in([size]) if isinstance(size, Sequence) else None
    if not isinstance(value, Tensor) or value.shape is None or sizes is None or len(sizes) != 2:
        return Unknown(False)
    width, height = (s if s is not None else Size.fresh("n") for s in sizes)
    return Tensor(
        False,
        shape=(height, width, *value.shape[2:]),
        dtype=value.dtype,
        library="numpy",
        made=value.made,
    )


@function("cv2.cvtColor")
def _cv_color(machine: Machine, arguments: Arguments) -> Value:
    value = arguments.get(0, "src")
    code = getattr(arguments.get(1, "code"), "name", "").rpartition(".")[2]
    if not isinstance(value, Tensor) or value.shape is None:
        return Unknown(False)
    shape: tuple[Size, ...] | None = None
    if code in (
        "COLOR_BGR2RGB",
        "COLOR_RGB2BGR",
        "COLOR_BGR2HSV",
        "COLOR_RGB2HSV",
        "COLOR_BGR2LAB",
    ):
        shape = value.shape
    elif code in ("COLOR_BGR2GRAY", "COLOR_RGB2GRAY"):
        shape = value.shape[:2]
    elif code in ("COLOR_GRAY2RGB", "COLOR_GRAY2BGR"):
        shape = (*value.shape[:2], Size.of(3))
    return Tensor(False, shape=shape, dtype=value.dtype, library="numpy", made=value.made)
