"""짧은 채팅 메시지를 만들어 토큰으로 바꾼다. (generated chat messages)"""

import random

NICE = ["thanks", "welcome", "well", "played", "sure", "good"]
RUDE = ["idiot", "shut", "noob", "trash", "loser"]
COMMON = ["you", "are", "the", "game", "this", "is", "we", "go"]
WORDS = ["<pad>"] + NICE + RUDE + COMMON
WORD_ID = {word: number for number, word in enumerate(WORDS)}


def chat_log(n, rng=None):
    rng = rng or random.Random(99)
    messages, marks = [], []
    for _ in range(n):
        rude = rng.random() < 0.4
        pool = COMMON * 2 + (RUDE if rude else NICE) * 3
        messages.append(" ".join(rng.choice(pool) for _ in range(rng.randint(4, 10))))
        marks.append(1 if rude else 0)
    return messages, marks


def tokenize(message):
    return [WORD_ID[word] for word in message.split()]
