"""Metrics for several yes/no tags per text."""

import numpy as np


def micro_f1(logits, targets, threshold=0.5):
    chosen = logits.sigmoid().numpy() > threshold
    wanted = targets.numpy().astype(bool)
    hits = np.logical_and(chosen, wanted).sum()
    total = chosen.sum() + wanted.sum()
    return 2 * hits / total if total else 0.0


class Running:
    """Mean that forgets nothing and can be printed in the middle."""

    def __init__(self):
        self.total, self.weight = 0.0, 0

    def add(self, value, weight=1):
        self.total += float(value) * weight
        self.weight += weight

    @property
    def mean(self):
        return self.total / max(self.weight, 1)
