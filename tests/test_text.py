"""Pasted text: whatever shape it comes in, the same error, the same place, and never an exception of ours."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import traceback
from itertools import zip_longest
from pathlib import Path
from textwrap import dedent, indent

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from misses import missed
from torchmedic.observed import Failure
from torchmedic.observed.text import failure_from_text, is_user_path, keywords

TEXTS = Path(__file__).parent / "texts"
SHAPES = "mat1 and mat2 shapes cannot be multiplied (32x576 and 1600x10)"

TRACEBACK = f"""\
Traceback (most recent call last):
  File "/home/kim/digits/train.py", line 41, in <module>
    main()
  File "/home/kim/digits/train.py", line 33, in main
    loss = criterion(model(images), labels)
                     ^^^^^^^^^^^^^
  File "/opt/conda/lib/python3.11/site-packages/torch/nn/modules/module.py", line 1739, in _wrapped_call_impl
    return self._call_impl(*args, **kwargs)
           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/opt/conda/lib/python3.11/site-packages/torch/nn/modules/module.py", line 1750, in _call_impl
    return forward_call(*args, **kwargs)
           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/home/kim/digits/net.py", line 18, in forward
    return self.fc(x.flatten(1))
           ^^^^^^^^^^^^^^^^^^^^^
  File "/opt/conda/lib/python3.11/site-packages/torch/nn/modules/linear.py", line 125, in forward
    return F.linear(input, self.weight, self.bias)
           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
RuntimeError: {SHAPES}
"""


def on_each_line(prefix: str, text: str = TRACEBACK) -> str:
    """The text with a prefix, in which N counts up as a clock does."""
    lines = text.splitlines()
    return "\n".join(prefix.replace("NNN", f"{100 + i}") + line for i, line in enumerate(lines))


def read(text: str):
    failure = failure_from_text(text)
    assert failure is not None
    return failure


def place(text: str) -> tuple[str, int] | None:
    at = read(text).raised_at
    return (at.path, at.line) if at else None


WAYS = {
    "plain": TRACEBACK,
    "windows line ends": TRACEBACK.replace("\n", "\r\n"),
    "doubled line ends": TRACEBACK.replace("\n", "\r\r\n"),
    "torchrun": on_each_line("[rank0]: "),
    "old torchrun": on_each_line("[default0]:"),
    "compose": on_each_line("worker-0  | "),
    "kubernetes": on_each_line("2026-01-03T12:00:01.NNN456789Z stderr F "),
    "actions": on_each_line("2026-01-03T12:00:01.NNN4567Z "),
    "logging": on_each_line("2026-01-03 12:00:01,NNN ERROR train: "),
    "glog": on_each_line("E0103 12:00:01.NNN456 4711 train.py:88] "),
    "rank in logging": on_each_line("[rank0]:[2026-01-03 12:00:01,NNN] ERROR "),
    "ray": on_each_line("(RayTrainWorker pid=123, ip=10.0.0.1) "),
    "slurm": on_each_line("0: "),
    "mpi": on_each_line("[1,0]<stderr>:"),
    "logging on the first line": "2026-01-03 12:00:01,123 ERROR " + TRACEBACK,
    "logger before it": "2026-01-03 12:00:01,123 ERROR training failed\n" + TRACEBACK,
    "quoted": on_each_line("> "),
    "markdown": indent(TRACEBACK, "    "),
    "fenced": f"My net crashes:\n```\n{TRACEBACK}```\nwhat does that mean?\n",
    "web page": TRACEBACK.replace("  ", "\xa0 "),
    "html": TRACEBACK.replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;"),
    "tabs lost": "\n".join(line.strip() for line in TRACEBACK.splitlines()),
    "empty lines between": TRACEBACK.replace("\n", "\n\n"),
    "colours": re.sub(r'"(/.*?)"', '"\x1b[35m\\1\x1b[0m"', TRACEBACK).replace(
        "RuntimeError", "\x1b[1;35mRuntimeError\x1b[0m"
    ),
    "colours without escape": re.sub(r'"(/.*?)"', '"[35m\\1[0m"', TRACEBACK),
    "progress bar": "Epoch 0:  10%|█   | 1/10\rEpoch 0:  20%|██  | 2/10 [00:01<00:04, 2.0it/s]"
    + TRACEBACK,
    "progress between": TRACEBACK.replace("  File", "Epoch 0:  20%|██  | 2/10\n  File", 2),
    "json": json.dumps({"level": "error", "exc_info": TRACEBACK}),
    "no head": TRACEBACK.partition("\n")[2],
    "quoted, no head": on_each_line("> ", TRACEBACK.partition("\n")[2]),
    "prompt below": TRACEBACK + "(base) kim@box:~/digits$ \n",
    "log below": TRACEBACK + "2026-01-03 12:00:09,000 INFO stopping\nEpoch 3 done\n",
    "repeated frames": TRACEBACK.replace(
        "RuntimeError", "  [Previous line repeated 12 more times]\nRuntimeError"
    ),
    "C++ below": TRACEBACK
    + "Exception raised from addmm at ../aten/src/ATen/native/Linear.cpp:12 (most recent call first):\n"
    + "frame #0: c10::Error::Error(c10::SourceLocation) + 0x57 (0x7f in libc10.so)\n"
    + "frame #1: <unknown function> + 0x1 (0x7f in libtorch.so)\n\n",
    "cleaning up": TRACEBACK
    + "Exception ignored in: <function _MultiProcessingDataLoaderIter.__del__ at 0x7f>\n"
    + 'Traceback (most recent call last):\n  File "/home/kim/digits/other.py", line 3, in g\n    x()\n'
    + "AssertionError: can only test a child process\n",
    "interrupted later": TRACEBACK
    + 'Traceback (most recent call last):\n  File "/home/kim/digits/other.py", line 3, in g\n    x()\nKeyboardInterrupt\n',
    "launcher": TRACEBACK
    + dedent("""\
        E0103 12:00:01.123000 4711 site-packages/torch/distributed/elastic/multiprocessing/api.py:869] failed (exitcode: 1)
        Traceback (most recent call last):
          File "/opt/conda/bin/torchrun", line 8, in <module>
            sys.exit(main())
          File "/opt/conda/lib/python3.11/site-packages/torch/distributed/launcher/api.py", line 264, in launch_agent
            raise ChildFailedError(
        torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
        ============================================================
        train.py FAILED
        ------------------------------------------------------------
        Root Cause (first observed failure):
        [0]:
          error_file: <N/A>
          traceback : To enable traceback see: https://pytorch.org/docs/stable/elastic/errors.html
        ============================================================
        """),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_pasting_tells_the_same(way: str) -> None:
    failure = read(WAYS[way])
    assert (failure.type, failure.message) == ("RuntimeError", SHAPES)
    assert place(WAYS[way]) == ("/home/kim/digits/net.py", 18)
    assert len(failure.frames) == 6
    frame = failure.user_frame
    assert frame is not None
    assert frame.function == "forward"
    assert frame.code == "return self.fc(x.flatten(1))"
    if way not in ("tabs lost", "empty lines between"):
        assert frame.expression == "self.fc(x.flatten(1))"
    assert not failure.causes


def test_windows_paths() -> None:
    text = TRACEBACK.replace("/home/kim/digits/", "C:\\Users\\김 민수\\digits\\").replace(
        "/opt/conda/lib/python3.11/", "C:\\Users\\kim\\anaconda3\\Lib\\"
    )
    assert place(text) == ("C:\\Users\\김 민수\\digits\\net.py", 18)
    assert [f.is_user for f in read(text).frames] == [True, True, False, False, True, False]


@pytest.mark.parametrize(
    ("text", "type_", "message"),
    [
        (SHAPES, "", SHAPES),
        (f"RuntimeError: {SHAPES}", "RuntimeError", SHAPES),
        (f"`RuntimeError: {SHAPES}`", "RuntimeError", SHAPES),
        (f"  \n\n RuntimeError: {SHAPES}  \n", "RuntimeError", SHAPES),
        (f"[rank1]: RuntimeError: {SHAPES}", "RuntimeError", SHAPES),
        (f"2026-01-03 12:00:01,123 ERROR RuntimeError: {SHAPES}", "RuntimeError", SHAPES),
        (f'I get "RuntimeError: {SHAPES}" when I train', "RuntimeError", SHAPES),
        (f"E       RuntimeError: {SHAPES}", "RuntimeError", SHAPES),
        (
            "torch.cuda.OutOfMemoryError: CUDA out of memory.",
            "OutOfMemoryError",
            "CUDA out of memory.",
        ),
        (
            "CUDA out of memory. Tried to allocate 20.00 MiB",
            "",
            "CUDA out of memory. Tried to allocate 20.00 MiB",
        ),
        ("IndexError: list index out of range", "IndexError", "list index out of range"),
        ("KeyError: 'train'", "KeyError", "'train'"),
        ("AssertionError", "AssertionError", ""),
        ("list index out of range", "", "list index out of range"),
        (
            "element 0 of tensors does not require grad and does not have a grad_fn",
            "",
            "element 0 of tensors does not require grad and does not have a grad_fn",
        ),
        (
            "expected scalar type Float but found Double",
            "",
            "expected scalar type Float but found Double",
        ),
        (
            "Given groups=1, weight of size [8, 1, 3, 3], expected input[1, 28, 28, 1] to have 1 channels",
            "",
            "Given groups=1, weight of size [8, 1, 3, 3], expected input[1, 28, 28, 1] to have 1 channels",
        ),
        ("'NoneType' object has no attribute 'x'", "", "'NoneType' object has no attribute 'x'"),
        (f"I train a net and get\n\n{SHAPES}\n\nwhen I call it. What is it?", "", SHAPES),
        ("INFO x\n" * 200 + f"2026-01-03 12:00:01,1 ERROR {SHAPES}\nINFO y\n", "", SHAPES),
        (SHAPES.replace("be mul", "be\nmul"), "", SHAPES.replace("be mul", "be\nmul")),
        ("Segmentation fault (core dumped)", "", "Segmentation fault (core dumped)"),
        ("RuntimeError: File x.bin has an Error: y", "RuntimeError", "File x.bin has an Error: y"),
    ],
)
def test_bare_messages(text: str, type_: str, message: str) -> None:
    failure = read(text)
    assert (failure.type, failure.message, failure.frames) == (type_, message, ())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  \n\r\n\x1b[0m",
        "The training went well and the curve is smooth.",
        "Epoch 1/10: 100%|████| 469/469 [00:03<00:00, 150.1it/s]\nloss 0.2301 acc 0.934\n" * 20,
        "2026-01-03 12:00:01,123 INFO loaded 60000 images\n" * 50,
        "def forward(self, x):\n    return self.fc(x)\n",
        "One cannot step into the same river twice.",
        "The committee must decide whether the budget is sufficient.",
        "My model cannot learn. The accuracy is 0.1 all the time.",
        "gradients-not-cleared",
        "How do I choose a learning rate for my network?",
        "/x/y.py:12: UserWarning: lr_scheduler.step() was called early\n  warnings.warn(text)",
        "안녕하세요. 학습이 잘 됩니다.",
    ],
)
def test_nothing_like_an_error(text: str) -> None:
    assert failure_from_text(text) is None


def failing(lines: str, error: str, head: str = "Traceback (most recent call last):") -> str:
    frames = "".join(
        f'  File "{path}", line {number}, in {function}\n    pass_{number}()\n'
        for path, number, function in (line.split() for line in lines.splitlines())
    )
    return f"{head}\n{frames}{error}\n"


INNER = failing("/home/kim/data.py 7 __getitem__", "KeyError: 'b'")
OUTER = failing("/home/kim/train.py 9 <module>", "ValueError: no such row")
CAUSE = "\nThe above exception was the direct cause of the following exception:\n\n"
DURING = "\nDuring handling of the above exception, another exception occurred:\n\n"


@pytest.mark.parametrize("prefix", ["", "[rank3]: ", "worker-1 | ", "    "])
def test_chains(prefix: str) -> None:
    for sentence, is_explicit in ((CAUSE, True), (DURING, False)):
        failure = read(on_each_line(prefix, INNER + sentence + OUTER + sentence + TRACEBACK))
        assert (failure.type, failure.is_cause_explicit) == ("RuntimeError", is_explicit)
        assert [c.type for c in failure.causes] == ["ValueError", "KeyError"]
        assert [c.raised_at.line for c in failure.causes if c.raised_at] == [9, 7]


def worker(inner: str, kind: str = "IndexError", number: int = 1) -> str:
    head = f"{kind}: Caught {kind} in DataLoader worker process {number}."
    return f"{head}\nOriginal {inner}"


LOOP = "/v/lib/python3.10/site-packages/torch/utils/data/_utils/worker.py 351 _worker_loop"
PARENT = "/home/kim/train.py 12 main\n/v/lib/python3.10/site-packages/torch/_utils.py 733 reraise"
RAISED = failing(f"{LOOP}\n/home/kim/data.py 8 __getitem__", "IndexError: list index out of range")


def test_an_error_in_a_worker() -> None:
    failure = read("loading\n" + failing(PARENT, worker(RAISED)))
    assert (failure.type, failure.message) == ("IndexError", "list index out of range")
    assert failure.is_worker
    assert [f.function for f in failure.frames] == [
        "main",
        "reraise",
        "_worker_loop",
        "__getitem__",
    ]
    assert failure.raised_at is not None
    assert failure.raised_at.line == 8


def test_an_error_in_a_worker_without_the_traceback_around_it() -> None:
    """As the live exception says it: its message, and nothing before it."""
    failure = read(worker(RAISED))
    assert (failure.message, failure.is_worker) == ("list index out of range", True)
    assert not read(RAISED).is_worker


def test_chains_in_workers_and_around_them() -> None:
    failure = read(failing(PARENT, worker(INNER + DURING + RAISED)))
    assert (failure.type, [c.type for c in failure.causes]) == ("IndexError", ["KeyError"])
    assert failure.is_worker
    failure = read(failing(PARENT, worker(RAISED)) + CAUSE + OUTER)
    assert (failure.type, failure.is_worker) == ("ValueError", False)
    assert [(c.type, c.is_worker) for c in failure.causes] == [("IndexError", True)]


def test_a_worker_in_a_worker() -> None:
    failure = read(failing(PARENT, worker(failing(LOOP, worker(RAISED)))))
    assert (failure.message, len(failure.frames)) == ("list index out of range", 5)


def test_spawned_process() -> None:
    failure = read(
        failing(
            "/home/kim/train.py 50 <module>",
            "torch.multiprocessing.spawn.ProcessRaisedException: \n\n"
            "-- Process 1 terminated with the following error:\n" + TRACEBACK,
        )
    )
    assert (failure.type, failure.message) == ("RuntimeError", SHAPES)
    assert not failure.is_worker
    assert len(failure.frames) == 7


BOOTSTRAP = "<string> 1 <module>\n/v/lib/python3.10/multiprocessing/spawn.py 126 _main"


def test_the_line_that_starts_a_process_is_not_the_users() -> None:
    lost = "AttributeError: Can't get attribute 'Songs' on <module '__main__' (built-in)>"
    assert read(failing(BOOTSTRAP, lost)).user_frame is None
    windows = BOOTSTRAP.replace(
        "/v/lib/python3.10/multiprocessing/", "C:\\Python310\\lib\\multiprocessing\\"
    )
    assert read(failing(windows, lost)).user_frame is None
    own = read(
        failing("<string> 1 <module>\n/v/lib/python3.10/json/decoder.py 3 decode", "ValueError: x")
    )
    assert own.user_frame is not None and own.user_frame.at.path == "<string>"


@pytest.mark.parametrize("is_first", [True, False])
def test_the_parent_tells_where_a_process_was_started(is_first: bool) -> None:
    lost = failing(BOOTSTRAP, "AttributeError: Can't get attribute 'Songs' on <module '__main__'>")
    gone = failing(PARENT, "RuntimeError: DataLoader worker (pid(s) 5120) exited unexpectedly")
    text = lost + gone if is_first else gone + lost
    assert (read(text).type, place(text)) == ("AttributeError", ("/home/kim/train.py", 12))
    child = BOOTSTRAP + "\n/home/kim/data.py 4 <module>"
    assert place(failing(child, "ImportError: x") + gone) == ("/home/kim/data.py", 4)


def test_process_pool() -> None:
    failure = read(
        f'concurrent.futures.process._RemoteTraceback: \n"""\n{INNER}"""\n{CAUSE}{OUTER}'
    )
    assert (failure.type, [c.type for c in failure.causes]) == ("ValueError", ["KeyError"])


def test_ranks_mixed_line_by_line() -> None:
    second = TRACEBACK.replace("net.py", "net_b.py")
    lost = failing(
        "/home/kim/train.py 2 sync", "torch.distributed.DistBackendError: NCCL error in x"
    )
    ranks = {"[rank2]: ": lost, "[rank0]: ": TRACEBACK, "[rank1]: ": second}
    texts = [on_each_line(prefix, text).splitlines() for prefix, text in ranks.items()]
    lines = [line for row in zip_longest(*texts) for line in row if line is not None]
    assert place("\n".join(lines)) == ("/home/kim/digits/net.py", 18)
    assert read(on_each_line("[rank2]: ", lost)).type == "DistBackendError"


def test_the_last_of_several_tracebacks_is_the_one_that_ended_the_program() -> None:
    assert read(OUTER + "Epoch 2: loss 0.3\n" + TRACEBACK).message == SHAPES
    assert read(TRACEBACK + "Epoch 2: loss 0.3\n" + OUTER).type == "ValueError"


MESSAGES = {
    "keys": 'Error(s) in loading state_dict for Net:\n\tMissing key(s) in state_dict: "fc.weight". \n'
    "\tsize mismatch for a.weight: copying a param with shape torch.Size([1]) from checkpoint, the shape in "
    "current model is torch.Size([2]).",
    "asynchronous": "CUDA error: device-side assert triggered\nCUDA kernel errors might be asynchronously reported at "
    "some other API call, so the stacktrace below might be incorrect.\nFor debugging consider passing "
    "CUDA_LAUNCH_BLOCKING=1\nCompile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.",
    "guard": "An attempt has been made to start a new process before the\n        current process has finished.\n\n"
    "        This probably means that you are not using fork.\n\n            if __name__ == '__main__':",
    "load": "Weights only load failed. This file can still be loaded, to do so you have two options.\n\t(1) Re-run.\n\n"
    "Check the documentation of torch.load to learn more.",
}


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize(
    "below", ["", "\n\nwandb: View run at https://x", "\n$ ", "\n[W103 x.cpp:3] Warning: y"]
)
def test_messages_of_several_lines(name: str, below: str) -> None:
    message = MESSAGES[name]
    text = failing("/home/kim/train.py 12 main", f"RuntimeError: {message}{below}")
    wanted = [line.strip() for line in message.splitlines()]
    assert [line.strip() for line in read(text).message.splitlines()] == wanted
    ranked = [line.strip() for line in read(on_each_line("[rank0]: ", text)).message.splitlines()]
    assert ranked == wanted
    bare = [line.strip() for line in read(f"RuntimeError: {message}{below}").message.splitlines()]
    assert bare == wanted


def test_a_message_that_begins_on_the_next_line() -> None:
    text = failing(
        "/home/kim/train.py 12 main",
        "RuntimeError: \n        An attempt has been made\n        to start.",
    )
    assert read(text).message.split() == ["An", "attempt", "has", "been", "made", "to", "start."]


def test_compiled_program() -> None:
    text = failing(
        "/home/kim/train.py 12 main\n/v/site-packages/torch/_dynamo/eval_frame.py 745 compile_wrapper",
        "torch._dynamo.exc.TorchRuntimeError: Dynamo failed to run FX node: got RuntimeError('a and b')\n\n"
        'from user code:\n   File "/home/kim/net.py", line 5, in forward\n    return self.fc(x)\n'
        '  File "/v/site-packages/torch/nn/modules/linear.py", line 125, in forward\n    return F.linear(x)\n\n'
        "Set TORCHDYNAMO_VERBOSE=1 for the internal stack trace",
    )
    failure = read(text)
    assert failure.type == "TorchRuntimeError"
    assert failure.message == "Dynamo failed to run FX node: got RuntimeError('a and b')"
    assert place(text) == ("/home/kim/net.py", 5)


def test_script_frames_show_the_marked_line() -> None:
    text = failing(
        "/home/kim/train.py 6 <module>",
        "RuntimeError: The following operation failed in the TorchScript interpreter.\n"
        "Traceback of TorchScript (most recent call last):\n"
        '  File "/home/kim/net.py", line 5, in f\ndef f(a, b):\n    c = a + 1\n    return c @ b\n'
        f"           ~~~~~ <--- HERE\nRuntimeError: {SHAPES}",
    )
    failure = read(text)
    assert (failure.message, place(text)) == (SHAPES, ("/home/kim/net.py", 5))
    assert failure.user_frame is not None
    assert (failure.user_frame.code, failure.user_frame.expression) == ("return c @ b", "c @ b")


def test_anomaly_mode_names_the_culprit() -> None:
    text = (
        "/v/site-packages/torch/autograd/graph.py:823: UserWarning: Error detected in SigmoidBackward0. Traceback of "
        'forward call that caused the error:\n  File "/home/kim/net.py", line 9, in forward\n    y = torch.sigmoid(x)\n'
        " (Triggered internally at x.cpp:122.)\n  return Variable._execution_engine.run_backward(\n"
        + TRACEBACK
    )
    failure = read(text)
    assert failure.message == SHAPES
    assert [(c.node, c.frames[0].at.line) for c in failure.culprits] == [("SigmoidBackward0", 9)]


def test_exception_groups() -> None:
    text = """\
  + Exception Group Traceback (most recent call last):
  |   File "/home/kim/a.py", line 9, in <module>
  |     asyncio.run(main())
  | ExceptionGroup: unhandled errors in a TaskGroup (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/home/kim/a.py", line 4, in f
    |     int("x")
    |     ~~~^^^^^
    | ValueError: invalid literal for int() with base 10: 'x'
    +---------------- 2 ----------------
    | Traceback (most recent call last):
    |   File "/home/kim/a.py", line 6, in g
    |     [][1]
    |     ~~^^^
    | IndexError: list index out of range
    +------------------------------------
"""
    failure = read(text)
    assert (failure.type, place(text)) == ("ValueError", ("/home/kim/a.py", 4))
    assert failure.user_frame is not None
    assert failure.user_frame.expression == 'int("x")'


def test_marks_over_several_lines_and_wide_characters() -> None:
    head = 'Traceback (most recent call last):\n  File "a.py", line 3, in f\n'
    several = "    g(\n    ~^\n        1,\n        ^^\n    )\n    ^\n"
    frame = read(f"{head}{several}ValueError: x").frames[0]
    assert (frame.code, frame.expression.split()) == ("g(", ["g(", "1,", ")"])
    for marks in (
        "                 ^^^^",
        "               ^^^^",
    ):  # columns of a terminal; characters
        frame = read(f'{head}    y = f("길") + g(x)\n{marks}\nValueError: x').frames[0]
        assert frame.code == 'y = f("길") + g(x)'
    wide = '    f("길이", g(x))\n              ^^^^\n'
    assert read(f"{head}{wide}ValueError: x").frames[0].expression == "g(x)"


def test_a_syntax_error_has_a_place() -> None:
    text = (
        "  File \"/home/kim/a.py\", line 3\n    foo(\n       ^\nSyntaxError: '(' was never closed"
    )
    failure = read(text)
    assert (failure.type, place(text)) == ("SyntaxError", ("/home/kim/a.py", 3))


def test_exceptions_of_any_name() -> None:
    failure = read(failing("/home/kim/a.py 3 f", "train.run.<locals>.Trouble: no\nmore of it"))
    assert (failure.type, failure.message) == ("Trouble", "no\nmore of it")
    assert read(failing("/home/kim/a.py 3 f", "_queue.Empty")).type == "Empty"
    assert read(failing("/home/kim/a.py 3 f", "INFO: x\nStopIteration")).type == "StopIteration"


def test_a_traceback_whose_end_is_missing() -> None:
    failure = read("\n".join(TRACEBACK.splitlines()[:-1]))
    assert (failure.type, failure.message) == ("", "")
    assert failure.raised_at is not None
    assert failure.raised_at.line == 18


NOTEBOOKS = {
    "now": (
        "Cell In[3], line 2",
        "File /opt/conda/lib/python3.10/site-packages/torch/nn/modules/linear.py:125, in ",
    ),
    "8.0": (
        "Input In [3], in <cell line: 2>()",
        "File ~/conda/lib/python3.10/site-packages/torch/linear.py:125, in ",
    ),
    "7": (
        "<ipython-input-3-abcdef> in <module>",
        "/usr/local/lib/python3.7/dist-packages/torch/linear.py in ",
    ),
    "kernel": (
        "/tmp/ipykernel_12/345.py in <module>",
        "~/lib/python3.8/site-packages/torch/linear.py in ",
    ),
}


@pytest.mark.parametrize("style", NOTEBOOKS)
def test_notebooks(style: str) -> None:
    cell, library = NOTEBOOKS[style]
    text = f"""\
---------------------------------------------------------------------------
RuntimeError                              Traceback (most recent call last)
{cell}
      1 x = torch.randn(32, 576)
----> 2 model(x)

{library}Linear.forward(self, input)
    124     def forward(self, input):
--> 125         return F.linear(input, self.weight, self.bias)
    126\x20

RuntimeError: {SHAPES}
"""
    failure = read(text)
    assert (failure.type, failure.message) == ("RuntimeError", SHAPES)
    assert [(f.at.line, f.is_user) for f in failure.frames] == [(2, True), (125, False)]
    assert failure.frames[0].code == "model(x)"
    assert failure.frames[1].function.endswith("forward")
    assert keywords(failure)[1].startswith("Linear ")


LONG_PYTEST = """\
=================================== FAILURES ===================================
__________________________________ test_net ___________________________________

    def test_net():
>       Net()(torch.randn(2, 3))

tests/test_net.py:12:
_ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _

    def forward(self, x):
>       return self.fc(x)

net.py:9: RuntimeError
"""


def test_pytest_output() -> None:
    long = LONG_PYTEST.replace("\nnet.py:9", f"E       RuntimeError: {SHAPES}\n\nnet.py:9")
    short = f"""\
__________________________________ test_net ___________________________________
tests/test_net.py:12: in test_net
    Net()(torch.randn(2, 3))
net.py:9: in forward
    return self.fc(x)
E   RuntimeError: {SHAPES}
=========================== short test summary info ============================
FAILED tests/test_net.py::test_net - RuntimeError: mat1 and mat2 shapes...
"""
    for text in (long, short):
        failure = read(text)
        assert (failure.type, failure.message) == ("RuntimeError", SHAPES)
        assert [(f.at.path, f.at.line, f.function, f.code) for f in failure.frames] == [
            ("tests/test_net.py", 12, "test_net", "Net()(torch.randn(2, 3))"),
            ("net.py", 9, "forward", "return self.fc(x)"),
        ]


def test_chains_in_pytest_output() -> None:
    link = "The above exception was the direct cause of the following exception:"
    text = (
        "____________ test_a ____________\na.py:3: in get\n    d[k]\nE   KeyError: 'b'\n\n"
        f"{link}\na.py:5: in test_a\n    get()\nE   ValueError: no b\nE     in the table\n"
        "____________ test_b ____________\nb.py:9: in test_b\n    x()\nE   TypeError: other\n"
    )
    failure = read(text)
    assert (failure.type, failure.message) == ("ValueError", "no b\n  in the table")
    assert ([c.type for c in failure.causes], failure.is_cause_explicit) == (["KeyError"], True)
    assert place(text) == ("a.py", 5)


def test_what_this_python_prints() -> None:
    try:
        try:
            {}["a"]
        except KeyError as error:
            raise ValueError("two\nlines") from error
    except ValueError as error:
        text, line = traceback.format_exc(), error.__traceback__.tb_lineno  # type: ignore[union-attr]
    failure = read(text)
    assert (failure.type, failure.message, failure.is_cause_explicit) == (
        "ValueError",
        "two\nlines",
        True,
    )
    assert place(text) == (__file__, line)
    assert (failure.causes[0].type, failure.causes[0].message) == ("KeyError", "'a'")


@pytest.mark.parametrize(
    "path",
    [
        "train.py",
        "/home/kim/lib/net.py",
        "/home/kim/miniconda3/train.py",
        "C:\\Users\\kim\\lib\\net.py",
        "D:/work/torch/net.py",
        "/home/kim/torchmedic/examples/digits_cnn.py",
        "<stdin>",
        "<ipython-input-3-abc>",
        "Cell In[3]",
        "/tmp/ipykernel_1/2.py",
        "/content/model.py",
        "~/pytorch/utils.py",
        "/home/kim/my-site-packages/x.py",
        "/home/kim/bin/train.py",
        "",
    ],
)
def test_paths_of_the_user(path: str) -> None:
    assert is_user_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "/opt/conda/lib/python3.11/runpy.py",
        "/usr/lib/python3/dist-packages/numpy/core/x.py",
        "C:\\Users\\kim\\AppData\\Local\\Programs\\Python\\Python311\\Lib\\threading.py",
        "C:\\Users\\kim\\anaconda3\\envs\\dl\\lib\\site-packages\\torch\\nn\\modules\\conv.py",
        "c:\\ProgramData\\miniconda3\\envs\\dl\\lib\\runpy.py",
        "/home/kim/.pyenv/versions/3.12.1/lib/python3.12/queue.py",
        "/Library/Frameworks/Python.framework/Versions/3.12/lib/python3.12/ast.py",
        "torch/nn/modules/linear.py",
        "/home/kim/pytorch/torch/nn/functional.py",
        "/home/kim/pytorch/torch/_tensor.py",
        "<frozen importlib._bootstrap>",
        "<__array_function__ internals>",
        "<eval_with_key>.3",
        "numpy/random/mtrand.pyx",
        "mtrand.pyx",
        "/opt/conda/bin/torchrun",
        "/tmp/torchinductor_kim/ab/cab.py",
        "/home/kim/src/torchmedic/probes/launch.py",
    ],
)
def test_paths_of_libraries(path: str) -> None:
    assert not is_user_path(path)


def test_keywords_name_the_error_and_nothing_of_the_program() -> None:
    words = keywords(read(TRACEBACK))
    assert words[0] == "RuntimeError mat1 and mat2 shapes cannot be multiplied"
    assert words[1].startswith("linear mat1 and mat2")
    text = failing(
        "/home/kim/train.py 12 main",
        "FileNotFoundError: [Errno 2] No such file or directory: '/home/kim/secret_data/labels.csv'",
    )
    assert keywords(read(text))[0] == "FileNotFoundError No such file or directory"
    assert (
        keywords(read("AssertionError")) == ("AssertionError",)
        or "AssertionError" in keywords(read("AssertionError"))[0]
    )


@given(st.text(max_size=300))
def test_keywords_are_short_for_any_message(message: str) -> None:
    for line in keywords(Failure("RuntimeError", message, read(TRACEBACK).frames)):
        assert 0 < len(line.split()) <= 9


PIECES = [
    *TRACEBACK.splitlines(keepends=True),
    *INNER.splitlines(keepends=True),
    *LONG_PYTEST.splitlines(keepends=True),
    CAUSE,
    DURING,
    "Original Traceback (most recent call last):\n",
    "Caught IndexError in DataLoader worker process 0.",
    "IndexError: ",
    "from user code:\n",
    "Traceback of TorchScript (most recent call last):\n",
    "  + Exception Group Traceback (most recent call last):\n",
    "  | ",
    "[rank0]: ",
    "E   ",
    "Cell In[3], line 2\n",
    "----> 2 model(x)\n",
    "\x1b[31m",
    "\r",
    "\n",
    "    ",
    "^^^~~~\n",
    '"""\n',
    "concurrent.futures.process._RemoteTraceback: \n",
    "Exception raised from x\nframe #0: y\n",
    'File "',
    ", line 99999999999999999999, in f\n",
]
GENTLE = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@GENTLE
@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    failure_from_text(text)


@GENTLE
@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=8)), max_size=60).map("".join))
def test_any_heap_of_pieces_can_be_read(text: str) -> None:
    failure = failure_from_text(text)
    if failure is not None:
        assert isinstance(keywords(failure), tuple)
        assert "\x1b[31m" not in failure.message


@GENTLE
@given(
    st.lists(st.sampled_from([*range(len(TRACEBACK.splitlines()))]), max_size=3),
    st.sampled_from(["Epoch 1: loss 0.3\n", "\n", "INFO step\n"]),
)
def test_other_output_between_the_lines_changes_nothing(places: list[int], noise: str) -> None:
    lines = TRACEBACK.splitlines(keepends=True)
    frames = [i for i, line in enumerate(lines) if line.startswith("  File")]
    for i in sorted({frames[p % len(frames)] for p in places}, reverse=True):
        lines.insert(i, noise)
    assert place("".join(lines)) == ("/home/kim/digits/net.py", 18)
    assert read("".join(lines)).message == SHAPES


PROGRESS = "Epoch 3:  42%|████▏     | 42/100 [00:10<00:14,  4.1it/s, loss=0.312]\n"
HEAVY = {
    "progress": PROGRESS * 10_000 + TRACEBACK,
    "tracebacks": TRACEBACK * 600,
    "chains": (INNER + CAUSE) * 1500 + OUTER,
    "prefixed": on_each_line("2026-01-03 12:00:01,NNN ERROR train: ", TRACEBACK * 600),
    "frames": "Traceback (most recent call last):\n"
    + '  File "a.py", line 3, in f\n    f()\n' * 5_000,
    "workers": failing(PARENT, "").rstrip()
    + "\n"
    + worker(failing(LOOP, "").rstrip() + "\n") * 1500,
    "named": "RuntimeError: x\n" * 10_000,
    "refused": "shapes cannot be multiplied (3x4)\n" * 10_000,
    "marks": 'Traceback (most recent call last):\n  File "a.py", line 3, in f\n'
    + "    x\n    ^\n" * 5_000,
    "pytest": "net.py:9: in forward\n    x\nE   RuntimeError: x\n" * 3_000,
    "bars": "| " * 20_000 + "\n" + "> " * 20_000,
    "words": "ab.cd" * 50_000,
    "spaces": " " * 300_000 + "\n" + "Error" * 50_000,
    "quotes": "\"'`([" * 50_000,
    "escapes": "\x1b]" * 50_000,
    "json": (json.dumps({"e": TRACEBACK}) + "\n") * 500,
}


@pytest.mark.parametrize("name", HEAVY)
def test_time_is_linear(name: str) -> None:
    """A limit ten times what is measured on a slow machine: only a quadratic search exceeds it."""
    text = HEAVY[name]
    start = time.perf_counter()
    failure_from_text(text)
    assert time.perf_counter() - start < 3.0


def test_five_megabytes() -> None:
    text = PROGRESS * (5_000_000 // len(PROGRESS)) + TRACEBACK
    start = time.perf_counter()
    assert read(text).message == SHAPES
    assert time.perf_counter() - start < 3.0


def test_torch_is_not_imported() -> None:
    code = "import torchmedic.observed.text, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def recorded() -> list[dict[str, object]]:
    index = TEXTS / "known"
    return [
        {**entry, "folder": str(file.parent)}
        for file in sorted(index.rglob("index.json"))
        for entry in json.loads(file.read_text(encoding="utf-8"))
    ]


@pytest.mark.parametrize("entry", recorded(), ids=lambda e: str(e["file"]))
def test_recorded_texts_have_an_error_at_the_users_line(entry: dict[str, object]) -> None:
    text = (Path(str(entry["folder"])) / str(entry["file"])).read_text(encoding="utf-8")
    failure = read(text)
    assert failure.type or failure.message
    if entry.get("user_path") and not missed(f"texts/{entry['file']}"):
        places = [f.raised_at for f in (failure, *failure.causes) if f.raised_at]
        assert (entry["user_path"], entry["user_line"]) in [(at.path, at.line) for at in places]


@pytest.mark.parametrize("file", sorted(TEXTS.glob("unrelated/*.txt")), ids=lambda f: f.stem)
def test_unrelated_texts_can_be_read(file: Path) -> None:
    failure = failure_from_text(file.read_text(encoding="utf-8"))
    if failure is not None:
        assert all(len(words.split()) <= 9 for words in keywords(failure))


WITHOUT_USER_FRAME = {entry["file"] for entry in recorded() if entry["user_path"] is None}


@pytest.mark.parametrize("file", sorted(TEXTS.glob("known/*/*.txt")), ids=lambda f: f.stem)
def test_known_texts_are_read(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    failure = read(text)
    assert failure.message or failure.type
    assert (failure.message.splitlines() or [""])[0].strip()[:60] in text
    name = f"{file.parent.name}/{file.name}"
    if 'File "' in text and name not in WITHOUT_USER_FRAME and not missed(f"texts/{name}"):
        assert failure.user_frame is not None
        assert failure.user_frame.code
    assert keywords(failure)
