"""Tracebacks in lines of text, as Python, IPython and pytest print them."""

from __future__ import annotations

import ast
import re

from torchmedic.model import Span
from torchmedic.observed.failure import Failure, Frame
from torchmedic.observed.panels import HEADER
from torchmedic.observed.paths import is_user_path
from torchmedic.observed.streams import LOOK

_NUMBER = r"(\d{1,9})"
_PYTHON_FRAME = rf"(\s*)File [\"“](.+?)[\"”], line {_NUMBER}(?:, in (.+))?$"
_FILE_FRAME = rf"(\s*)File ([^\"“].*?):{_NUMBER}(?:, in (.+))?$"
_CELL_FRAME = rf"(\s*)((?:Cell|Input) In ?\[[\d ]{{0,6}}\])(?:, line {_NUMBER})?(?:, in (.+))?$"
_OLD_FRAME = (
    r"(\s*)(<ipython-input-[^>]*>|[~./\\\w][^\s:]*(?::[\\/][^\s:]*)?\.pyx?) in "
    r"(<[^>]*>(?:\(\))?|[\w.<>]+\(.*\)?)$"
)
_ARROW = rf"\s*-+> ?{_NUMBER}(?: (.*))?$"
_CONTEXT = r"\s*\d{1,9}(?: |$)"
_MARKS = r"\s*[~^][~^ ]*(?:<--- HERE)?$"
_ELIDED = r"\s*\.\.\.<\d+ lines?>\.\.\.$"
_REPEATED = "[Previous line repeated "

EXPLICIT = "The above exception was the direct cause of the following exception"
IMPLICIT = "During handling of the above exception, another exception occurred"

ENDING = (
    r"(?:Error|Exception|Warning|Interrupt|Exit|Iteration|Failed|Failure|Unsupported|Timeout|Empty|Full"
    r"|Violation|Group|Cancelled)"
)
_NAME = r"[A-Za-z_][\w.]*(?:<locals>[\w.]*)*"
_RAISED = rf"(\s*)({_NAME})(?:\((\w+)\))?(?::(?: (.*)|$)|$)"
_NO_TYPE = r"(?i:info|warn|warning|error|debug|critical|fatal|note|hint|epoch|step|usage|tip)$"

# A line that is no part of a message: the log goes on, or the C++ stack begins.
_LOG = (
    r"\[?\d{4}[-/]\d\d[-/]\d\d[T ]|\[?\d\d:\d\d:\d\d\b|[IWEF]\d{4} |\[[WEI]\d* "
    r"|\[?(?:INFO|WARNING|ERROR|DEBUG|CRITICAL)\b[\]:| ]|```|wandb: |\$(?: |$)|>>> |\(\w+\) [\w~].*[$#%](?: |$)|PS [A-Z]:|[A-Z]:\\[^ ]*> ?"
    r"|[\w.-]+@[\w.-]+[:~]|root@|srun: |make: |Killed$|Process \S+:$|Exception ignored |--- Logging error"
    r"|(?:Epoch|Step|Iter(?:ation)?|Batch|Train(?:ing)?|Val(?:idation)?|Test(?:ing)?)\b[ :\[(]*\d"
    r"|(?:\S+ ){0,4}\d{1,3}%\||\S.{0,80}\b\d+(?:\.\d+)?(?:it/s|s/it)\b|(?:\S+ ){0,6}(?:loss|acc(?:uracy)?)[ =:]+\d"
    r"|={5,}|-{5,}|_{5,}|\+-+|(?:_ ){5,}|/\S+: UserWarning|\S+\.py:\d+: \w*Warning"
    r"|During handling of the above|The above exception was"
)
_CPP = r"Exception raised from \S|frame #\d+:|C\+\+ CapturedTraceback|<omitting python frames>"
_PARAGRAPH = (
    r"Set TORCHDYNAMO|Check the documentation|Please |To (?:fix|avoid|execute)|For (?:debugging|more)|from user code"
    r"|Original |-- Process \d|If |You can |Compile with|CUDA kernel|The original|\(\d\) |Found from|Process \d"
    r"|Traceback of|Developer debug|Explanation|Hint|Search for|This error|This (?:probably|can)"
)
_BOOTSTRAP = r"multiprocessing[/\\](?:spawn|forkserver|resource_tracker)\.py$"
# Ways in which one traceback carries another: its message goes on with the inner one.
_IN_WORKER = "in DataLoader worker process"
_MAX_DEPTH = 8
_MAX_CAUSES = 16
_MAX_MESSAGE = 200  # lines
_MAX_NOISE = 16  # lines of other output tolerated between two frames
_WORKER_LOOPS = {
    "_worker_loop",
    "_worker",
    "_pin_memory_loop",
    "do_one_step",
    "_wrap",
    "_process_worker",
}


def is_start(line: str) -> bool:
    """True if a traceback, or a part of one whose head was not pasted, begins here."""
    if HEADER in line:
        return True
    if ", line " in line or "In [" in line or "In[" in line or "<ipython" in line:
        return frame_of(line[:LOOK]) is not None
    return False


def frame_of(line: str) -> tuple[str, Frame] | None:
    """The frame that a line names, and the line's indentation."""
    line = line.rstrip()
    if "File " in line:
        found = re.match(_PYTHON_FRAME, line) or re.match(_FILE_FRAME, line)
    elif "In [" in line or "In[" in line:
        found = re.match(_CELL_FRAME, line)
    else:
        found = re.match(_OLD_FRAME, line) if " in " in line else None
        if found:
            return found[1], _frame(found[2], 0, found[3])
    return (found[1], _frame(found[2], int(found[3] or 0), found[4])) if found else None


def _frame(path: str, line: int, function: str | None) -> Frame:
    function = function or ""
    if function.startswith("<cell line"):
        function = "<module>"
    elif not function.startswith("<"):
        function = function.partition("(")[0].strip()
    return Frame(Span(path, line), function, is_user=is_user_path(path))


def read_chain(lines: list[str], start: int, depth: int = 0) -> tuple[Failure, int]:
    """The exceptions printed from this line on, up to the last of their chain, and the line after them."""
    failure, i = _read_one(lines, start, depth)
    while True:
        link = _link(lines, i)
        if link is None or (depth and _is_whole(failure)):
            return failure, i
        explicit, i = link
        after, i = _read_one(lines, i, depth)
        below = (failure._replace(causes=()), *failure.causes)
        causes = (*after.causes, *below)[:_MAX_CAUSES]
        is_explicit = after.is_cause_explicit if after.causes else explicit
        failure = after._replace(causes=causes, is_cause_explicit=is_explicit)


def _is_whole(failure: Failure) -> bool:
    """True for the last exception of a worker: its traceback begins in the worker's main loop."""
    return bool(failure.frames) and failure.frames[0].function in _WORKER_LOOPS


def _link(lines: list[str], i: int) -> tuple[bool, int] | None:
    """Whether the next exception was raised `from` the one above, and where its traceback begins."""
    for number in range(i, min(i + 6, len(lines))):
        line = lines[number][:LOOK].strip(" \t\"'`|")
        if EXPLICIT in line or IMPLICIT in line:
            for start in range(number + 1, min(number + 6, len(lines))):
                if is_start(lines[start]):
                    return EXPLICIT in line, start
            return None
        if line and not set(line) <= set("-+= "):
            return None
    return None


def _read_one(lines: list[str], start: int, depth: int) -> tuple[Failure, int]:
    i, kind, indent = start, "", None
    if HEADER in lines[i] or "Traceback of TorchScript" in lines[i]:
        head = lines[i][:LOOK]
        named = re.match(r"\s*([A-Za-z_][\w.]*) {2,}Traceback", head)
        kind = named[1] if named else ""
        indent = len(head) - len(head.lstrip())
        i += 1
    frames, i, raised = _read_frames(lines, i, kind, indent)
    if raised is None:
        return Failure(kind.rpartition(".")[2], "", tuple(frames)), max(i, start + 1)
    margin, name, first = raised
    message, i = read_message(lines, i + 1, first, margin)
    above = lines[start - 1][:LOOK] if start else ""
    is_worker = _IN_WORKER in above and lines[start].lstrip().startswith("Original ")
    failure = Failure(name.rpartition(".")[2], message, tuple(frames), is_worker=is_worker)
    if starts_in_bootstrap(failure):
        frames[0] = frames[0]._replace(is_user=False)
        failure = failure._replace(frames=tuple(frames))
    return _with_inner(failure, lines, i, depth)


def _with_inner(failure: Failure, lines: list[str], i: int, depth: int) -> tuple[Failure, int]:
    """The exception with the traceback that its message goes on with, if it does."""
    if i >= len(lines) or depth >= _MAX_DEPTH:
        return failure, i
    line = lines[i][:LOOK].strip()
    is_header = HEADER in line and (
        line.startswith("Original ")
        or failure.type in ("ProcessRaisedException", "_RemoteTraceback", "RemoteTraceback")
        or failure.type.startswith("RayTaskError")
    )
    if not (is_header or line.startswith("Traceback of TorchScript") or _is_python_frame(line)):
        return failure, i
    inner, after = read_chain(lines, i, depth + 1)
    frames = failure.frames + inner.frames
    if not inner.type:  # frames only: the place in the user's program that a compiler worked on
        return failure._replace(frames=frames), after
    is_worker = _IN_WORKER in failure.message or inner.is_worker
    return inner._replace(frames=frames, is_worker=is_worker), after


def starts_in_bootstrap(failure: Failure) -> bool:
    """True if its outermost frame is the `-c` program by which multiprocessing starts a process."""
    paths = [frame.at.path for frame in failure.frames[:2]]
    return len(paths) == 2 and paths[0] == "<string>" and bool(re.search(_BOOTSTRAP, paths[1]))


def _is_python_frame(line: str) -> bool:
    return "File " in line and re.match(_PYTHON_FRAME, line) is not None


def _read_frames(
    lines: list[str], i: int, kind: str, margin: int | None
) -> tuple[list[Frame], int, tuple[int, str, str] | None]:
    """The frames from here on, the line that ends them, and what is raised there if it names an exception."""
    frames: list[Frame] = []
    noise, after = 0, i
    while i < len(lines):
        line = lines[i][:LOOK]
        found = frame_of(line)
        if found is not None:
            margin, frame = len(found[0]), found[1]
            frame, i = _with_code(frame, lines, i + 1, margin)
            frames.append(frame)
            noise, after = 0, i
            continue
        if (
            HEADER in line
            or "Traceback of TorchScript" in line
            or EXPLICIT in line
            or IMPLICIT in line
        ):
            break
        raised = _raised(lines[i], margin, kind)
        if raised is not None:
            return frames, i, raised
        arrow = re.match(_ARROW, line)
        if arrow and frames:
            frames[-1] = _with_arrow(frames[-1], arrow)
        elif frames and "<--- HERE" in line:  # TorchScript shows the function, and the line in it
            above = lines[i - 1][:LOOK]
            frames[-1] = frames[-1]._replace(code=above.strip(), expression=_marked(above, line))
        elif line.strip() and not re.match(_CONTEXT, line) and _REPEATED not in line:
            noise += 1
            if noise > _MAX_NOISE or line.strip().startswith("```"):
                break
        i += 1
    return frames, i if i < len(lines) and HEADER in lines[i] else after, None


def _with_arrow(frame: Frame, arrow: re.Match[str]) -> Frame:
    return frame._replace(at=Span(frame.at.path, int(arrow[1])), code=(arrow[2] or "").strip())


def _raised(line: str, margin: int | None, kind: str = "") -> tuple[int, str, str] | None:
    """The indentation, type and first line of the message, if a line names the exception.

    `margin`: the indentation of the lines above. A line deeper than that is code. A name that doesn't end like
    an exception's is taken where the indentation, or the traceback's head (`kind`), proves it.
    """
    found = re.match(_RAISED, line)
    if found is None:
        return None
    indent, name, first = len(found[1]), found[2], found[4] or ""
    if margin is not None and indent > margin:
        return None
    if re.search(rf"{ENDING}$", name) or found[3]:
        return indent, found[3] or name, first
    if kind:
        return (indent, name, first) if name.rpartition(".")[2] == kind.rpartition(".")[2] else None
    if margin and indent < margin and not re.match(_NO_TYPE, name):
        return (indent, name, first) if name[0].isupper() or "." in name or name[0] == "_" else None
    return None


def _with_code(frame: Frame, lines: list[str], i: int, margin: int) -> tuple[Frame, int]:
    """The frame with the source line below it, and the expression that is marked there."""
    here = _script_mark(lines, i)
    if here:
        expression = _marked(lines[here - 1], lines[here][:LOOK])
        return frame._replace(code=lines[here - 1].strip(), expression=expression), here + 1
    code = ""
    pieces: list[str] = []
    is_elided = False
    if i + 1 < len(lines) and not lines[i].strip():  # pasted with empty lines between
        i += 1
    while i < len(lines):
        line = lines[i][:LOOK].rstrip()
        text = line.strip()
        if not text or frame_of(line) or HEADER in line or re.match(_ARROW, line):
            break
        if re.match(_CONTEXT, line) and not frame.at.path.startswith("<frozen") and not code:
            numbered = i + 1 < len(lines) and re.match(rf"{_CONTEXT}|{_ARROW}", lines[i + 1][:LOOK])
            if numbered:  # a notebook's listing
                break
        if not code:
            if _raised(line, margin):
                break
            code = text
        elif re.match(_ELIDED, line):
            is_elided = True
            i += 1
            continue
        elif not (i + 1 < len(lines) and re.match(_MARKS, lines[i + 1][:LOOK])):
            break
        i += 1
        if i < len(lines) and re.match(_MARKS, lines[i][:LOOK]):
            pieces.append(_marked(line, lines[i][:LOOK]))
            i += 1
        else:
            break
    expression = "" if is_elided else "\n".join(pieces)
    return frame._replace(code=code, expression=expression), i


def _script_mark(lines: list[str], i: int) -> int:
    """TorchScript shows lines around the one that failed: the number of the line of marks below it, or 0."""
    for number in range(i, min(i + 8, len(lines))):
        line = lines[number][:LOOK]
        if "<--- HERE" in line and number > i and re.match(_MARKS, line):
            return number
        if not line.strip() or frame_of(line):
            return 0
    return 0


def _marked(line: str, marks: str) -> str:
    """What stands above the marks: counted in characters, or (Python 3.13) in columns of a terminal."""
    marks = marks.partition("<---")[0].rstrip()
    start, stop = len(marks) - len(marks.lstrip()), len(marks)
    if line.isascii():
        return line[start:stop].strip()
    from unicodedata import east_asian_width

    columns = [0]
    for character in line:
        columns.append(columns[-1] + (2 if east_asian_width(character) in "WF" else 1))
    wide = [i for i in range(len(line)) if start <= columns[i] < stop]
    for first, last in ((start, stop), (wide[0], wide[-1] + 1) if wide else (0, 0)):
        if _is_whole_code(line, first, last):
            return line[first:last].strip()
    return ""


def _is_whole_code(line: str, start: int, stop: int) -> bool:
    """True if the part can be parsed and cuts no name in two."""
    part = line[start:stop]
    for before, after in ((line[:start], part), (part, line[stop:])):
        if re.search(r"\w$", before) and re.match(r"\w", after):
            return False
    try:
        return bool(ast.parse(part.strip()).body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def read_message(lines: list[str], i: int, first: str, margin: int) -> tuple[str, int]:
    """A message from its first line on, and the line after it. `margin`: the indentation of its first line."""
    message, blank = [first], 0
    while i < len(lines) and len(message) < _MAX_MESSAGE:
        line = lines[i]
        text = line[:LOOK].strip()
        if not text:
            blank += 1
            i += 1
            continue
        if (
            HEADER in text
            or re.match(_LOG, text)
            or _is_python_frame(text)
            or frame_of(line[:LOOK])
        ):
            break
        if re.match(_CPP, text):
            i = _after_cpp(lines, i)
            break
        indent = len(line) - len(line.lstrip())
        is_paragraph = indent > margin or re.match(_PARAGRAPH, text) is not None
        if blank and (blank > 2 or not is_paragraph) and any(message):
            break
        if blank and not any(message) and not is_paragraph:
            break
        if _raised(line, margin) or text.startswith("Traceback of TorchScript"):
            break
        if text.lower().rstrip(":") not in ("from user code", '"""', "'''"):
            message += [""] * blank
            message.append(line[min(indent, margin) :].rstrip())
        blank = 0
        i += 1
    return "\n".join(message).strip(), i


def _after_cpp(lines: list[str], i: int) -> int:
    while i < len(lines) and (not lines[i].strip() or re.match(_CPP, lines[i][:LOOK].strip())):
        i += 1
    return i
