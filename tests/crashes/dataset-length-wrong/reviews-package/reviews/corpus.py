"""Generates short reviews; a fixed seed gives the same corpus on every machine."""

import random

GOOD = ["great", "lovely", "sturdy", "fast", "bright", "comfortable"]
BAD = ["broken", "slow", "noisy", "cheap", "dull", "late"]
FILLER = ["the", "delivery", "was", "and", "screen", "battery", "is", "very", "handle", "my"]


def make_reviews(count, seed):
    rng = random.Random(seed)
    reviews = []
    for _ in range(count):
        positive = rng.random() < 0.5
        words = rng.choices(FILLER, k=rng.randint(3, 9))
        for _ in range(rng.randint(1, 3)):
            words.insert(rng.randrange(len(words)), rng.choice(GOOD if positive else BAD))
        reviews.append((" ".join(words), int(positive)))
    return reviews


class Vocabulary:
    def __init__(self, texts):
        self.itos = ["<pad>", "<unk>"]
        self.stoi = {}
        for text in texts:
            for word in text.split():
                if word not in self.stoi:
                    self.stoi[word] = len(self.itos)
                    self.itos.append(word)

    def __len__(self):
        return len(self.itos)

    def encode(self, text):
        return [self.stoi.get(word, 1) for word in text.split()]
