import argparse

parser = argparse.ArgumentParser(description="Trains a network.")
parser.add_argument("data")
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("-m", "--momentum", type=float)
parser.add_argument("rest", nargs="*")
options = parser.parse_args()
print(options)
raise SystemExit(options.epochs)
