import pickle
import sys

from . import SIZE
from .inner.tool import Tool, double

print(__name__, __package__, __spec__.name, sys.argv[1:])
print(double(SIZE), pickle.loads(pickle.dumps(Tool(2))).size)
if "crash" in sys.argv:
    Tool("a").half()
if "exit" in sys.argv:
    sys.exit("stopped by the package")
