import random

import torch

TOPICS = {
    "sport": "goal match team coach league final".split(),
    "money": "bank price market tax loan budget".split(),
    "weather": "rain storm wind snow cloud heat".split(),
    "health": "doctor virus sleep diet clinic pulse".split(),
}
COMMON = "today people said about more than after city year over".split()
VOCABULARY = sorted({w for words in TOPICS.values() for w in words} | set(COMMON))


def bag_of_words(words):
    bag = torch.zeros(len(VOCABULARY))
    for w in words:
        bag[VOCABULARY.index(w)] += 1
    return bag


def make_texts(n, seed):
    rng = random.Random(seed)
    bags, tags = [], []
    for _ in range(n):
        tag = [rng.random() < 0.4 for _ in TOPICS]
        words = rng.choices(COMMON, k=8)
        for present, topic_words in zip(tag, TOPICS.values()):
            if present:
                words += rng.choices(topic_words, k=2)
        bags.append(bag_of_words(words))
        tags.append(torch.tensor(tag, dtype=torch.float32))
    return torch.stack(bags), torch.stack(tags)
