"""Several ranks tell one report: the meeting by files, then two ranks that torchrun starts."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from textwrap import dedent

import pytest

from torchmedic import ranks
from torchmedic.model import Diagnosis, Evidence, Span, Text
from torchmedic.observed import Failure, Frame
from torchmedic.ranks import Findings, Ranks
from torchmedic.render import Report
from torchmedic.rules import RULES

ROOT = Path(__file__).parent.parent
NOBODY = 2**22 + 1  # above the largest number of a process on Linux
ENVIRONMENT = {"RANK": "1", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "MASTER_PORT": "29500"}


def found(line, code="TM402", loop=3):
    facts = {"optimizer": "optimizer", "loop": loop}
    text = Text(en="seen", ko="봄")
    return Diagnosis(RULES[code], Span("train.py", line), facts, (Evidence(text),))


def said(diagnosis, lang="en"):
    return [e.text.show(lang) for e in diagnosis.evidence][1:]


def join(folder, local, process=None, size=2):
    (folder / f"here-{local}").write_text(str(process or os.getpid()))
    return Ranks(local, local, size, folder)


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(ranks, "FOR_OTHERS", 1.0)
    monkeypatch.setattr(ranks, "FOR_UNSEEN", 0.1)
    monkeypatch.setattr(ranks, "FOR_ANSWER", 1.0)


def together(*parts):
    """Each rank in its own thread: what it tells, or None."""
    told = [None] * len(parts)

    def work(index, rank, findings):
        told[index] = rank.settled(findings)
        rank.leave()

    threads = [threading.Thread(target=work, args=(i, *part)) for i, part in enumerate(parts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    return told


def test_equal_findings_become_one():
    everyone = [Findings(0, (found(4), found(9))), Findings(1, (found(4),))]
    both, one = ranks.merged(everyone)
    assert said(both) == ["seen on ranks 0, 1"]
    assert said(one) == ["seen on rank 0, not on rank 1"]
    assert said(one, "ko") == ["확인된 곳: 랭크 0. 확인되지 않은 곳: 랭크 1"]


def test_differing_numbers_are_told():
    [one] = ranks.merged([Findings(0, (found(4, loop=3),)), Findings(1, (found(4, loop=5),))])
    [where, other] = said(one)
    assert where == "seen on ranks 0, 1"
    assert other.startswith("rank 1: ") and other.endswith("line 5")


def test_many_ranks_are_told_as_a_range():
    [one] = ranks.merged([Findings(n, (found(4),)) for n in range(8)])
    assert said(one) == ["seen on ranks 0-7"]


def test_findings_of_two_ranks_meet(tmp_path):
    folder = tmp_path / "meeting"
    folder.mkdir()
    first, second = join(folder, 0), join(folder, 1)
    [report, silent] = together((first, (found(4),)), (second, (found(4), found(7))))
    assert silent is None
    assert [said(d) for d in report.diagnoses] == [
        ["seen on ranks 0, 1"],
        ["seen on rank 1, not on rank 0"],
    ]


def test_the_last_one_removes_the_folder(tmp_path):
    folder = tmp_path / "meeting"
    folder.mkdir()
    [report, silent] = together((join(folder, 0), ()), (join(folder, 1), ()))
    assert report == Report("run") and silent is None
    assert not folder.exists()


def test_a_rank_that_is_not_answered_tells_its_own(tmp_path):
    join(tmp_path, 0)  # at work for long
    report = join(tmp_path, 1).settled((found(4),))
    assert report is not None
    assert [said(d) for d in report.diagnoses] == [["seen on rank 1"]]
    late = Ranks(0, 0, 2, tmp_path).settled(())
    assert late == Report("run"), "what was told already is not told again"


def test_what_was_told_is_not_told_by_a_late_rank(tmp_path):
    first = join(tmp_path, 0)
    second = join(tmp_path, 1)
    assert first.settled((found(4),)) is not None
    _leave_open(first)
    report = second.settled((found(4), found(7)))
    assert report is not None
    assert [d.at.line for d in report.diagnoses] == [7]


def _leave_open(rank):
    rank.leave()
    assert rank.folder.exists(), "another rank is at work"


def test_nobody_waits_for_the_dead(tmp_path, monkeypatch):
    monkeypatch.setattr(ranks, "FOR_OTHERS", 60.0)
    monkeypatch.setattr(ranks, "FOR_ANSWER", 60.0)
    join(tmp_path, 1, NOBODY)
    begun = time.monotonic()
    assert join(tmp_path, 0).settled((found(4),)) is not None
    assert time.monotonic() - begun < 30
    join(tmp_path, 0, NOBODY)
    assert Ranks(1, 1, 2, tmp_path).settled((found(4),)) is not None
    assert time.monotonic() - begun < 30


@pytest.mark.parametrize(
    "text", ["", "{", '{"rank": 1}', '{"rank": 1, "found": [{"code": "TM9"}]}']
)
def test_damaged_files_cost_nothing(tmp_path, text):
    join(tmp_path, 1)
    (tmp_path / "found-1").write_text(text)
    report = join(tmp_path, 0).settled((found(4),))
    assert report is not None and len(report.diagnoses) == 1


def test_without_a_folder_every_rank_tells_its_own():
    for local in (0, 1):
        report = Ranks(local, local, 2, None).settled((found(4),))
        assert report is not None
        assert [said(d) for d in report.diagnoses] == [[f"seen on rank {local}"]]
    assert Ranks(1, 1, 2, None).settled(()) is None


def test_the_first_to_crash_tells_it(tmp_path):
    first, second = join(tmp_path, 0), join(tmp_path, 1)
    failure = Failure("RuntimeError", "sizes", (Frame(Span("train.py", 12)),))
    report = Report("run", (found(12, "TM301"),))
    told = second.crashed(report, failure)
    assert told.diagnoses == report.diagnoses
    assert [n.show("en") for n in told.notes] == ["This happened on rank 1."]
    line = first.crashed(report, failure)
    [note] = line.notes
    assert not line.diagnoses and not first.may_write()
    assert "rank 0" in note.show("en") and "train.py:12" in note.show("en")
    other = Report("run", (found(12, "TM303"),))
    assert Ranks(0, 0, 2, tmp_path).crashed(other, failure).diagnoses == other.diagnoses


def test_a_rank_that_ended_well_is_known_with_its_steps(tmp_path):
    first, second = join(tmp_path, 0), join(tmp_path, 1)
    first.leave(20)
    assert second.ended_before() == {0: 20}


def test_a_rank_that_failed_tells_it_itself(tmp_path):
    first, second = join(tmp_path, 0), join(tmp_path, 1)
    with first.crashing():
        first.crashed(Report("run"), Failure("RuntimeError", "sizes"))
        assert second.ended_before() is None
    assert second.ended_before() is None
    (tmp_path / "here-0").write_text(str(NOBODY))
    for claimed in tmp_path.glob("crash-*"):
        claimed.unlink()
    (tmp_path / "left-0").unlink()
    assert second.ended_before() is None, "it was killed"
    assert Ranks(1, 1, 2, None).ended_before() is None


def test_a_signal_waits_for_the_report_of_a_crash(tmp_path):
    rank, heard = join(tmp_path, 0), []
    before = signal.signal(signal.SIGTERM, lambda *details: heard.append("SIGTERM"))
    try:
        with rank.crashing():
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)
            assert not heard
        time.sleep(0.01)
        assert heard == ["SIGTERM"]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_live_lines_come_once(tmp_path):
    first, second = join(tmp_path, 0), join(tmp_path, 1)
    both, other = ("TM402", "train.py", 4), ("TM402", "train.py", 9)
    assert not second.may_tell_now(both)
    assert first.may_tell_now(both)
    assert not second.may_tell_now(both)
    assert not second.may_tell_now(other)
    assert second.may_tell_now(other)


def test_one_rank_writes_the_file(tmp_path):
    first, second = join(tmp_path, 0), join(tmp_path, 1)
    assert [second.may_write(), first.may_write()] == [False, True]
    with second.crashing():
        assert not second.may_write()


@pytest.mark.parametrize("missing", ["RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE"])
def test_nothing_is_done_outside_of_a_job(missing, tmp_path, monkeypatch):
    monkeypatch.setattr(ranks, "_temporary", lambda: str(tmp_path))
    environment = {k: v for k, v in ENVIRONMENT.items() if k != missing}
    assert ranks.join(environment) is None
    assert ranks.join({**ENVIRONMENT, "LOCAL_WORLD_SIZE": "1"}) is None
    assert ranks.join({**ENVIRONMENT, "RANK": "one"}) is None
    assert not list(tmp_path.iterdir())


def test_the_folder_is_private(tmp_path, monkeypatch):
    monkeypatch.setattr(ranks, "_temporary", lambda: str(tmp_path))
    rank = ranks.join(ENVIRONMENT)
    assert rank.folder.stat().st_mode & 0o777 == 0o700
    other = ranks.join({**ENVIRONMENT, "TORCHELASTIC_RESTART_COUNT": "1"})
    assert other.folder != rank.folder
    rank.folder.chmod(0o777)
    assert ranks.join(ENVIRONMENT).folder is None
    for path in rank.folder.iterdir():
        path.unlink()
    rank.folder.rmdir()
    rank.folder.symlink_to(other.folder)
    assert ranks.join(ENVIRONMENT).folder is None


def test_no_folder_in_a_broken_place(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(ranks, "_temporary", lambda: str(tmp_path / "file"))
    assert ranks.join(ENVIRONMENT).folder is None


def test_what_killed_jobs_left_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(ranks, "_temporary", lambda: str(tmp_path))
    dead, alive = (
        ranks.join(ENVIRONMENT).folder,
        ranks.join({**ENVIRONMENT, "MASTER_PORT": "1"}).folder,
    )
    (dead / "here-1").write_text(str(NOBODY))
    for folder in (dead, alive):
        os.utime(folder, (0, 0))
    ranks.join({**ENVIRONMENT, "MASTER_PORT": "2"})
    assert not dead.exists() and alive.exists()


def test_the_program_may_still_choose_its_temporary_folder(monkeypatch):
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", None)
    assert ranks._temporary()
    assert tempfile.tempdir is None


# --- two ranks

TRAINING = """
import hashlib
import os

import torch
import torch.distributed as dist
from torch import nn

torch.set_num_threads(1)
dist.init_process_group("gloo")
rank = dist.get_rank()
torch.manual_seed(rank)
model = nn.parallel.DistributedDataParallel(nn.Linear(8, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x, y = torch.randn(64, 8), torch.randint(0, 2, (64,))
for step in range(6):
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
values = [p.tolist() for p in model.parameters()] + [torch.get_rng_state().tolist()]
print(f"<{rank} {hashlib.sha256(repr(values).encode()).hexdigest()}>")
dist.destroy_process_group()
"""
ON_ONE = """
import os

import torch
from torch import nn

model = nn.Linear(8, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x, y = torch.randn(64, 8), torch.randint(0, 2, (64,))
for step in range(6):
    if os.environ["RANK"] == "0":
        optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
"""
UNEVEN = """
import torch
import torch.distributed as dist
from torch import nn

torch.set_num_threads(1)
dist.init_process_group("gloo")
rank = dist.get_rank()
torch.manual_seed(rank)
model = nn.parallel.DistributedDataParallel(nn.Linear(8, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
shares = torch.randn(50, 8), torch.randn(70, 8)

for rows in shares[rank].split(10):
    optimizer.zero_grad()
    loss = model(rows).pow(2).mean()
    loss.backward()
    optimizer.step()
dist.destroy_process_group()
"""
CRASH = """
import os
import time

import torch
from torch import nn

model = nn.Linear(8 if os.environ["RANK"] == "0" else 9, 2)
model(torch.randn(4, 8))
time.sleep(60)
"""
EVERYWHERE = """
import torch
from torch import nn

model = nn.Linear(9, 2)
model(torch.randn(4, 8))
"""
BROKEN = """
import sys

from torchmedic import cli, ranks

ranks._temporary = lambda: "/dev/null/nowhere"
sys.exit(cli.main())
"""


def torchrun(folder, program, *words):
    """`torchrun` with two ranks; their standard output and error, and what they left in the temporary directory."""
    (folder / "train.py").write_text(dedent(program))
    temporary = folder / "temporary"
    temporary.mkdir(exist_ok=True)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "TMPDIR": str(temporary),
    }
    launcher = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port))
    done = subprocess.run(
        [sys.executable, *launcher, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    return done, list(temporary.glob(f"{ranks.PREFIX}*"))


def test_two_ranks_tell_one_report(tmp_path):
    run = ("-m", "torchmedic", "run", "--format", "json", "--output", "seen.json", "train.py")
    done, left = torchrun(tmp_path, TRAINING, *run)
    assert done.returncode == 0 and not left, done.stderr
    assert done.stderr.count("[TM402]") == 1
    assert "seen on ranks 0, 1" in done.stderr
    [told] = json.loads((tmp_path / "seen.json").read_text())["diagnoses"]
    assert told["code"] == "TM402"
    plain, _ = torchrun(tmp_path, TRAINING, "train.py")
    digests = [sorted(re.findall(r"<\d \w+>", run.stdout)) for run in (done, plain)]
    assert len(digests[0]) == 2 and digests[0] == digests[1], "watching changed the results"


def test_a_finding_of_one_rank_is_named_so(tmp_path):
    done, left = torchrun(tmp_path, ON_ONE, "-m", "torchmedic", "run", "train.py")
    assert done.returncode == 0 and not left, done.stderr
    assert done.stderr.count("[TM402]") == 1
    assert "seen on rank 1, not on rank 0" in done.stderr


def test_a_crash_of_one_rank_is_told_by_it(tmp_path):
    done, _ = torchrun(tmp_path, CRASH, "-m", "torchmedic", "run", "train.py")
    assert done.returncode == 1
    assert done.stderr.count("error[TM") == 1 and "This happened on rank 1." in done.stderr


def test_a_rank_that_waits_for_one_that_ended_says_so(tmp_path):
    done, left = torchrun(tmp_path, UNEVEN, "-m", "torchmedic", "run", "train.py")
    assert done.returncode == 1 and not left
    assert done.stderr.count("error[TM") == 1, done.stderr
    assert "[TM353]" in done.stderr and "train.py:17" in done.stderr
    assert "rank 0 ended after 5 optimizer steps" in done.stderr


def test_a_crash_of_all_ranks_is_told_once(tmp_path):
    done, _ = torchrun(tmp_path, EVERYWHERE, "-m", "torchmedic", "run", "train.py")
    assert done.returncode == 1
    assert done.stderr.count("error[TM") == 1, done.stderr


def test_ranks_that_cannot_meet_tell_their_own(tmp_path):
    (tmp_path / "broken.py").write_text(BROKEN)
    done, left = torchrun(
        tmp_path, ON_ONE.replace('== "0"', '== "2"'), "broken.py", "run", "train.py"
    )
    assert done.returncode == 0 and not left, done.stderr
    assert done.stderr.count("[TM402]") == 2
    for rank in (0, 1):
        assert f"seen on rank {rank}" in done.stderr
