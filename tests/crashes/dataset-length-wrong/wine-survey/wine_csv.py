"""Writes the wine table as a csv with a few unreadable cells, as the survey tool exports it."""

import csv
import os

import numpy as np
from sklearn.datasets import load_wine


def export_survey(folder, seed):
    wine = load_wine()
    rng = np.random.default_rng(seed)
    path = os.path.join(folder, "survey.csv")
    with open(path, "w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(list(wine.feature_names) + ["cultivar"])
        for features, target in zip(wine.data, wine.target):
            cells = [f"{value:.4f}" for value in features]
            if rng.random() < 0.1:
                cells[rng.integers(len(cells))] = "n/a"
            writer.writerow(cells + [int(target)])
    return path
