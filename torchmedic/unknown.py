"""The honest answer when no rule knows the error: what raised it, where, with which shapes, and what to search for."""

from __future__ import annotations

from collections.abc import Iterator

from torchmedic.model import Text, show_value
from torchmedic.observed import Failure, Frame
from torchmedic.observed.text import keywords

NO_MATCH = Text(
    en="no known mistake matches this error", ko="이 오류와 일치하는 알려진 실수가 없습니다"
)
RAISED_BY = Text(en="raised by `{operation}`", ko="오류를 낸 연산: `{operation}`")
YOUR_LINE = Text(en="your line: {path}:{line}  {code}", ko="사용자 코드: {path}:{line}  {code}")
IN_MODULE = Text(
    en="in module `{path}` ({type}), called with {shapes}",
    ko="모듈: `{path}` ({type}), 입력 {shapes}",
)
HELD = Text(
    en="`{name}`: {shape} {dtype} on {device}", ko="`{name}`: {shape} {dtype}, 장치 {device}"
)
SEARCH_FOR = Text(en="search for: {words}", ko="검색어: {words}")


def honest_answer(failure: Failure) -> tuple[Text, ...]:
    """What is known without a rule, as notes: the first says that none matches."""
    return tuple(_notes(failure))


def _notes(failure: Failure) -> Iterator[Text]:
    yield NO_MATCH
    last = failure.frames[-1] if failure.frames else None
    if last is not None and not last.is_user:
        yield RAISED_BY.fill(operation=last.function)
    frame = failure.user_frame
    if frame is not None:
        code = frame.expression or frame.code
        yield YOUR_LINE.fill(path=frame.at.path, line=frame.at.line, code=code.split("\n")[0])
        yield from _shapes(frame)
    layer = failure.failing
    if layer is not None:
        shapes = ", ".join(show_value(list(t.shape)) for v in layer.inputs for t in v.tensors())
        yield IN_MODULE.fill(path=layer.path or layer.type, type=layer.type, shapes=shapes or "()")
    words = keywords(failure)
    if words:
        yield SEARCH_FOR.fill(words=" · ".join(words))


def _shapes(frame: Frame) -> Iterator[Text]:
    for name, value in list({**frame.names, **frame.parts}.items())[:8]:
        if value.tensor is not None:
            tensor = value.tensor
            shape = show_value(list(tensor.shape))
            yield HELD.fill(name=name, shape=shape, dtype=tensor.dtype, device=tensor.device)
