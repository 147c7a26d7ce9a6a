import argparse

import torch
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from models.keyword import KeywordSpotter
from spectra import WORDS, SpokenWords


def parse_args():
    parser = argparse.ArgumentParser(description="keyword spotting on log spectrograms")
    parser.add_argument("--n-fft", type=int, default=128)
    parser.add_argument("--hop", type=int, default=32)
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--embed-dim", type=int, default=512)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=24)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def run_epoch(model, loader, optimizer=None):
    model.train(optimizer is not None)
    hits = seen = 0
    with torch.set_grad_enabled(optimizer is not None):
        for spectrogram, word in loader:
            logits = model(spectrogram)
            if optimizer is not None:
                loss = cross_entropy(logits, word)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
            hits += int((logits.argmax(dim=-1) == word).sum())
            seen += len(word)
    return hits / seen


def main():
    args = parse_args()
    torch.manual_seed(args.seed)
    train_loader = DataLoader(
        SpokenWords(192, args.n_fft, args.hop, args.seed), args.batch_size, shuffle=True
    )
    valid_loader = DataLoader(SpokenWords(64, args.n_fft, args.hop, args.seed + 1), 64)
    model = KeywordSpotter(args.width, args.embed_dim, args.hidden, len(WORDS))
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr)
    for epoch in range(args.epochs):
        train_acc = run_epoch(model, train_loader, optimizer)
        valid_acc = run_epoch(model, valid_loader)
        print(f"[{epoch}] train {train_acc:.2%} valid {valid_acc:.2%}")


if __name__ == "__main__":
    main()
