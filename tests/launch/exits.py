import atexit
import os
import sys
import threading

how = sys.argv[1]
print("out before")
print("err before", file=sys.stderr)
atexit.register(print, "at exit")


class Odd:
    def __str__(self):
        return "an object as status"


if how == "number":
    sys.exit(3)
elif how == "text":
    sys.exit("bye")
elif how == "none":
    sys.exit(None)
elif how == "object":
    sys.exit(Odd())
elif how == "large":
    raise SystemExit(256 + 9)
elif how == "at once":
    sys.stdout.flush()
    os._exit(5)
elif how == "thread":

    def fail():
        1 / 0

    thread = threading.Thread(target=fail, name="worker")
    thread.start()
    thread.join()
elif how == "in a handler":
    try:
        1 / 0
    except ZeroDivisionError:
        sys.exit(6)
elif how == "hook":

    def hook(kind, error, traceback):
        print("own hook", kind.__name__, error, traceback.tb_lineno, sys.exc_info(), sys.last_value is error)
        sys.exit(8)

    sys.excepthook = hook
    1 / 0
elif how == "closed":
    sys.stdout.close()
    sys.exit(9)
elif how == "abort":
    os.kill(os.getpid(), 15)
