"""The registry numbers the houses 1, 2, 3, … in the order in which they were measured."""

import csv
import random


def write_registry(path, houses, seed):
    rng = random.Random(seed)
    with open(path, "w", newline="") as handle:
        writer = csv.DictWriter(handle, ["house", "area", "people", "year", "use"])
        writer.writeheader()
        for house in range(1, houses + 1):
            area = rng.uniform(40, 220)
            people = rng.randint(1, 6)
            year = rng.randint(1950, 2023)
            use = 8 * area + 450 * people + 9 * (2023 - year) + rng.gauss(0, 80)
            writer.writerow(
                {
                    "house": house,
                    "area": f"{area:.1f}",
                    "people": people,
                    "year": year,
                    "use": f"{use:.1f}",
                }
            )


def read_registry(path):
    with open(path, newline="") as handle:
        return list(csv.DictReader(handle))
