"""Child processes while a crash is being read."""

from __future__ import annotations

from collections.abc import Callable


def quiet_children() -> Callable[[], None]:
    """A DataLoader raises from its SIGCHLD handler when a worker dies, wherever Python is then. Returns the way back."""
    import signal

    kind = getattr(signal, "SIGCHLD", None)
    try:
        before = signal.signal(kind, signal.SIG_DFL) if kind is not None else None
    except ValueError:  # not in the main thread
        before = None

    def restore() -> None:
        if before is not None and kind is not None:
            signal.signal(kind, before)

    return restore
