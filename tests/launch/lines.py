for number in range(200_000):
    print("line", number, flush=True)
