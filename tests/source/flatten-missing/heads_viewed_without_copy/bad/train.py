import torch
from torch.utils.data import DataLoader

from data import TEXT, Characters
from gpt import GPT, Config


def main():
    torch.manual_seed(1337)
    dataset = Characters(TEXT, block=16)
    config = Config(vocab_size=len(dataset.alphabet), block=16)
    loader = DataLoader(dataset, batch_size=32, shuffle=True, drop_last=True)
    model = GPT(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for step, (x, y) in enumerate(loader):
        _, loss = model(x, y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if step % 5 == 0:
            print(f"step {step}: loss {loss.item():.3f}")
        if step == 10:
            break


if __name__ == "__main__":
    main()
