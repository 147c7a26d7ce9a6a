import sys

from .. import SIZE


class Tool:
    def __init__(self, size):
        self.size = size

    def half(self):
        return self.size / 2


def double(value):
    return value * 2


if __name__ == "__main__":
    import pickle
    import multiprocessing

    print(__name__, __package__, SIZE, sys.argv[1:], __file__.endswith("tool.py"))
    print(type(pickle.loads(pickle.dumps(Tool(2)))).__module__)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map(double, [SIZE]))
