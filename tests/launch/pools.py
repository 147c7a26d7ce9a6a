import atexit
import multiprocessing
import os
import pickle
import sys
import threading

print("imported as", __name__, flush=True)


class Point:
    def __init__(self, x):
        self.x = x

    def __reduce__(self):
        return Point, (self.x,)


def work(point):
    return type(point).__module__, type(point).__qualname__, point.x * 2, os.path.basename(sys.argv[0])


def late():
    threading.main_thread().join()
    print("thread", work(Point(4)), "__file__" in globals(), flush=True)


@atexit.register
def goodbye():
    if __name__ == "__main__":
        print("exit", sys.modules["__main__"].__dict__ is globals(), "__file__" in globals())
        print("pickled", type(pickle.loads(pickle.dumps(Point(1)))).__module__)


if __name__ == "__main__":
    for how in ("fork", "spawn", "forkserver"):
        context = multiprocessing.get_context(how)
        with context.Pool(1) as pool:
            print(how, pool.map(work, [Point(1), Point(2)]), flush=True)
        process = context.Process(target=sys.exit, args=(4,))
        process.start()
        process.join()
        print(how, process.exitcode, flush=True)
    threading.Thread(target=late).start()
    if os.fork() == 0:
        print("child", flush=True)
        raise ValueError("in the child") if "crash" in sys.argv else SystemExit(7)
    print("status", os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
