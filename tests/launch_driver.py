"""Starts a program as `torchmedic run` does, with a one-line report: `python launch_driver.py [-m|-c|-] PROGRAM …`."""

from __future__ import annotations

import sys

from torchmedic.probes.launch import Interrupted, LaunchError, Program, run
from torchmedic.probes.record import Recorder


def report(error: BaseException) -> None:
    print(f"REPORT {type(error).__name__}", file=sys.stderr)


def main() -> int:
    Recorder().install()
    try:
        return run(Program.parse(sys.argv[1:]), report)
    except LaunchError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Interrupted:
        raise KeyboardInterrupt from None
