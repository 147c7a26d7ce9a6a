"""뉴스 제목 전처리: 토큰화, 사전 만들기, 패딩."""

import random
from collections import Counter

import numpy as np

TOPICS = {
    "sports": "match goal coach season league player cup team".split(),
    "economy": "bank price market trade budget export stock tax".split(),
    "science": "planet cell energy robot vaccine telescope gene lab".split(),
}
GLUE = "new after in for the with before as".split()


def make_titles(count, seed):
    rng = random.Random(seed)
    titles = []
    for _ in range(count):
        topic = rng.randrange(len(TOPICS))
        words = rng.choices(list(TOPICS.values())[topic], k=rng.randint(2, 5))
        words += rng.choices(GLUE, k=rng.randint(1, 4))
        rng.shuffle(words)
        titles.append((" ".join(words), topic))
    return titles


def build_vocab(titles, min_count=1):
    counts = Counter(word for title, _ in titles for word in title.split())
    kept = sorted(word for word, n in counts.items() if n >= min_count)
    return {word: index for index, word in enumerate(["<pad>", "<unk>", *kept])}


def pad_titles(titles, vocab, max_len):
    """(제목 수, max_len) 행렬. 짧은 제목은 0으로 채운다."""
    matrix = np.zeros((len(titles), max_len))
    for row, (title, _) in enumerate(titles):
        ids = [vocab.get(word, vocab["<unk>"]) for word in title.split()][:max_len]
        matrix[row, : len(ids)] = ids
    return matrix
