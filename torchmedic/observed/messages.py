"""Error messages without a traceback: how they are told from prose, and what to search for."""

from __future__ import annotations

import re

from torchmedic.observed.failure import Failure
from torchmedic.observed.streams import LOOK, without_prefix
from torchmedic.observed.tracebacks import read_message

# Words in which Python, NumPy and PyTorch refuse something, in lower case.
_REFUSALS = (
    "can't call", "can't convert", "can't pickle", "can't optimize", "can't allocate", "can't assign",
    "size mismatch", "mismatch in", "mismatch between", "but got", "but found", "but expected", "out of memory",
    "out of range", "out of bounds", "is invalid for", "not require grad", "requires grad", "modified by an inplace",
    "in-place operation", "through the graph", "device-side assert", "has no attribute", "is not callable",
    "is not subscriptable", "is not iterable", "is not defined", "unexpected keyword", "missing 1 required",
    "missing 2 required", "positional argument", "missing key", "unexpected key", "loading state_dict", "cuda error",
    "cublas_status", "cudnn_status", "cudnn error", "given groups=", "stack expects", "no module named",
    "exited unexpectedly", "tried to allocate", "on the same device", "truth value of an array",
    "boolean value of tensor", "only integer", "only one element", "only tensors", "only batches", "only length-1",
    "unsupported operand", "object does not support", "not support item", "before initiali", "module.__init__() call",
    "found dtype", "scalar type", "number of dim", "non-singleton", "shape '[", "expected more than 1 value",
    "already been freed", "size of tensor a", "too many indices", "too many values", "not enough values",
    "not aligned", "inhomogeneous", "should be the same", "leaf variable", "expected input", "expected target",
    "expected hidden", "expected tensor", "expected object", "expected all tensors", "expected scalar", "expected 3d",
    "expected 4d", "expected 2d", "no overload found", "illegal memory", "used by autograd", "grad_fn",
    "implicitly created", "input type (", "weights only load", "killed by signal", "segmentation fault",
    "core dumped",
)  # fmt: skip
# The same, in words that people use elsewhere, too.
_COMMON = (
    "cannot be", "can't be", "can not be", "could not ", "cannot ", "unable to", "mismatched", "must match",
    "must be ", "must have", "not implemented", "not compatible", "not supported", "invalid ", "does not match",
    "doesn't match", "not match", "not allowed", "failed", "no grad", "trying to ", "same number of", "dimension out",
)  # fmt: skip
_WEAK = r"(?i)\b(?:must|illegal|expected|missing|unexpected|error|does not|doesn't|should|not found|not valid|mismatch)\b"
_CODE = (
    r"[`'\"][\w.\[\]]+[`'\"]|\b\w+_\w+\b|\b\w+\.\w+\(|\b[a-z]+[A-Z]\w+|\b[A-Z]+[a-z]+[A-Z]\w*|\(\)|[\[(]\d[\d, x]*[\])]"
    r"|\btorch\b|\btensors?\b|\b(?:CUDA|CUDNN|CUBLAS|NCCL|MPS|dtype|argument|shapes?)\b|\bdimension|\b\d+x\d+\b|\bmat1\b"
)
_PROSE = (
    r"(?i)^\s*(?:hi|hello|hey|thanks|how|why|what|does|is|can)\b|\b(?:i|i'm|i've|my|we|our|me)\b"
)
_QUIET = r"(?:\W*[\d:.,TZ/ -]*\W*)?(?:INFO|DEBUG|WARNING|WARN)\b"
_SHORT = 12  # lines that are read as one message, if they look like one
_POST = 100  # lines: in a longer text (a log), what counts stands at the end


def bare_message(lines: list[str]) -> str:
    """The message among lines that hold no traceback and no exception's name, or ""."""
    low = "\n".join(lines).lower()
    full = [line for line in lines if line.strip(" \t`")]
    if len(full) <= _SHORT:
        message = _unquoted("\n".join(without_prefix(line).strip("`*“” ") for line in full))
        head = message[:LOOK]
        joined = " ".join(head.split()).lower()
        is_prose = re.search(_PROSE, head) is not None or _asks(joined)
        if not is_prose:
            if any(words in joined for words in _REFUSALS):
                return message
            is_refusal = any(words in joined for words in _COMMON) or re.search(_WEAK, head)
            if is_refusal and re.search(_CODE, head):
                return message
    found = [words for words in (*_REFUSALS, *_COMMON) if words in low]
    if not found:
        return ""
    numbers = range(len(lines)) if len(full) <= _POST else range(len(lines) - 1, -1, -1)
    for i in numbers:
        line = lines[i][:LOOK]
        low = line.lower()
        if not any(words in low for words in found) or "Warning:" in line:
            continue
        if not re.match(_QUIET, line) and re.search(_CODE, line):
            margin = len(lines[i]) - len(lines[i].lstrip())
            return read_message(lines, i + 1, without_prefix(lines[i]), margin)[0]
    return ""


def _unquoted(text: str) -> str:
    """Without the quotation marks around all of it."""
    mark = text[:1]
    if mark in ("'", '"') and text.endswith(mark) and text.count(mark) == 2:
        return text[1:-1].strip()
    return text


def _asks(text: str) -> bool:
    return text.endswith("?") and "did you" not in text.lower()


_NAMELESS = {
    "forward", "__call__", "_call_impl", "_wrapped_call_impl", "__next__", "_next_data", "_process_data", "reraise",
    "__getitem__", "<module>", "<listcomp>", "fetch", "wrapper", "inner", "_worker_loop", "decorate_context", "_fn",
    "__init__", "__torch_function__", "_conv_forward", "__getattr__", "_error", "step", "run",
}  # fmt: skip
_DTYPE = "Long|Int|Short|Char|Byte|Bool|Half|Float|Double|BFloat16"
_SPECIFIC = (
    r"https?://\S+",
    r"0x[0-9a-fA-F]+",
    r"torch\.Size\(\[[\d, ]*\]\)",
    r"\bFakeTensor\([^()]{0,300}(?:\([^()]{0,100}\)[^()]{0,300}){0,4}\)",
    r"(?:[A-Za-z]:)?[~.\w-]*[/\\][\w./\\<>-]+(?::\d+)?",
    rf"`[^`\n]{{0,200}}`|(?<!\w)'(?!(?:{_DTYPE})')[^'\n]{{0,200}}'",
    r"\"[^\"\n]{0,200}\"|“[^”\n]{0,200}”",
    r"\([^()]{0,200}\d[^()]{0,200}\)|\[[^\[\]]{0,400}\]",
    r"(?<!\w)-?\d(?!-?[Dd]\b)[\w.,]*(?: ?(?:[KMG]i?B|bytes?)\b)?",
    r"=\S*",
)
_EDGE = {
    "a", "an", "the", "and", "or", "but", "of", "in", "on", "at", "to", "by", "for", "from", "with", "is", "was", "are",
    "be", "got", "found", "has", "have", "it", "as", "that", "this", "must", "out",
}  # words that a query doesn't end in  # fmt: skip
_MOST = 8  # words: a longer query finds fewer pages


def keywords(failure: Failure) -> tuple[str, ...]:
    """What a person would search the web for, most specific first; nothing of the user's own program is in it."""
    words = _plain(failure.message)
    operation = _operation(failure)
    kind = [failure.type] if failure.type else []
    queries = [
        [*kind, *words[: _MOST - len(kind)]],
        [operation, *words[: _MOST - 1]] if operation and words and operation not in words else [],
        ["pytorch", operation, *kind] if operation else [],
        ["pytorch", *kind, *words[:4]],
    ]
    lines = dict.fromkeys(" ".join(_trimmed(query)) for query in queries if query)
    return tuple(line for line in lines if line and line != "pytorch")


def _trimmed(words: list[str]) -> list[str]:
    end = len(words)
    while end > 1 and words[end - 1].lower() in _EDGE:
        end -= 1
    return words[:end]


def _plain(message: str) -> list[str]:
    """The words of the first sentence that says something, without numbers, names and paths."""
    best: list[str] = []
    for line in message[:LOOK].split("\n")[:12]:
        for pattern in _SPECIFIC:
            line = re.sub(pattern, " ", line)
        for sentence in re.split(r"[.;?!](?=\s|$)", line):
            words = re.findall(r"\b\d-?[Dd]\b|[^\W\d_](?:['-]?\w)*(?:\.\w+)*", sentence)
            if len(words) >= 4:
                return _trimmed(words)
            best = max(best, words, key=len)
    return best


def _operation(failure: Failure) -> str:
    """The innermost named operation of a library: "linear", "cross_entropy", "conv2d"; "" if none is known."""
    for frame in reversed(failure.frames):
        name = frame.function.rpartition(".")[2]
        if frame.is_user:
            called = re.search(
                r"\b(?:F|torch|nn|np)\.(?:\w+\.)*(\w+)\(", frame.expression or frame.code
            )
            return called[1] if called else ""
        if name and name not in _NAMELESS and not name.startswith("<"):
            return name.strip("_")
        if name == "forward":
            owner = frame.function.rpartition(".")[0].rpartition(".")[2]
            return owner or re.split(r"[/\\]", frame.at.path)[-1].partition(".")[0]
    return ""
