import atexit
import sys
import time

atexit.register(print, "at exit")


def wait():
    print("ready", flush=True)
    time.sleep(30)


try:
    wait()
finally:
    print("finally", flush=True)
    if "hook" in sys.argv:
        sys.excepthook = lambda kind, *rest: print("own hook", kind.__name__, flush=True)
