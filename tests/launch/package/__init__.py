print("package", __name__, __package__, flush=True)
SIZE = 3
