"""Word-bigram language model: a low-rank table behind the one-hot previous word."""
import argparse
import random
import zlib

import torch
import torch.nn.functional as F

SUBJECTS = ["the cat", "a dog", "my neighbour", "the old clock", "every child", "this robot"]
VERBS = ["sees", "likes", "follows", "paints", "forgets", "repairs"]
OBJECTS = ["the river", "a red ball", "its own shadow", "the garden", "an empty house"]
ENDINGS = ["at night .", "in winter .", "without a word .", "again and again ."]


def write_text(sentences, seed):
    rng = random.Random(seed)
    parts = (SUBJECTS, VERBS, OBJECTS, ENDINGS)
    return " ".join(" ".join(rng.choice(p) for p in parts) for _ in range(sentences))


def tokenize(text, buckets):
    # stable hash, so that saved models can be read again
    return torch.tensor([zlib.crc32(word.encode()) % buckets for word in text.split()])


def sample_pairs(ids, count, generator):
    at = torch.randint(len(ids) - 1, (count,), generator=generator)
    return ids[at], ids[at + 1]


class Bigram(torch.nn.Module):
    def __init__(self, buckets, rank=24):
        super().__init__()
        self.buckets = buckets
        self.inner = torch.nn.Linear(buckets, rank, bias=False)
        self.outer = torch.nn.Linear(rank, buckets)

    def forward(self, words):
        onehot = F.one_hot(words, self.buckets).float()
        return self.outer(self.inner(onehot))


def perplexity(model, ids, generator):
    previous, following = sample_pairs(ids, 64, generator)
    with torch.no_grad():
        return F.cross_entropy(model(previous), following).exp().item()


def build_parser():
    p = argparse.ArgumentParser()
    p.add_argument("--sentences", type=int, default=800)
    p.add_argument("--buckets", type=int, default=16_384, help="size of the hashed vocabulary")
    p.add_argument("--batch-size", type=int, default=10_000_000)
    p.add_argument("--steps", type=int, default=8)
    p.add_argument("--lr", type=float, default=0.01)
    p.add_argument("--seed", type=int, default=12)
    return p


def main():
    args = build_parser().parse_args()
    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    ids = tokenize(write_text(args.sentences, args.seed), args.buckets)
    cut = int(0.9 * len(ids))
    train_ids, valid_ids = ids[:cut], ids[cut:]
    print(f"{len(train_ids)} words to train on, {ids.unique().numel()} of {args.buckets} in use")

    model = Bigram(args.buckets)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    for step in range(args.steps):
        previous, following = sample_pairs(train_ids, args.batch_size, generator)
        loss = F.cross_entropy(model(previous), following)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"{step}: {loss.item():.3f} perplexity {perplexity(model, valid_ids, generator):.1f}")


if __name__ == "__main__":
    main()
