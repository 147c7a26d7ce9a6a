"""Everything that a program can read about its own start."""

import sys
import os
import warnings

__version__: str = "1"


def shown(name, value):
    if name == "__builtins__":
        return type(value).__name__
    if name == "__loader__":
        return getattr(value, "__name__", type(value).__name__), getattr(value, "name", None), getattr(value, "path", None)
    if name == "__spec__" and value is not None:
        return value.name, value.origin, value.parent, type(value.loader).__name__
    return value


main = sys.modules["__main__"]
print(main.__dict__ is globals(), main.__name__, __name__)
for name in [n for n in globals() if n.startswith("__")]:
    print(name, repr(shown(name, globals()[name])))
print("argv", sys.argv)
print("path", sys.path)
print("cwd", os.getcwd())
print("flags", sys.flags)
print("options", sys._xoptions, sys.warnoptions)
print("stdin", sys.stdin.read() if sys.argv[0] == "-" else None)
print("hooks", sys.excepthook is sys.__excepthook__, sys.displayhook is sys.__displayhook__, sys.gettrace(), sys.getprofile())
print("error", sys.exc_info())


def old():
    warnings.warn("old", DeprecationWarning, stacklevel=2)


old()
print("docstring", __doc__)
