import os
import sys

import 도우미

print(os.path.basename(__file__), [os.path.basename(p) for p in sys.path[:1]], sys.argv)
print(도우미.인사("세계"))
값 = [1, 2]
값[도우미.자리]
