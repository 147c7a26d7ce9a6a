"""Programs are run in forked children of a process that holds torch: a pool of threads would not survive the fork."""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
