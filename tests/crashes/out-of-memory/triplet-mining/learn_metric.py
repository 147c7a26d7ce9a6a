import numpy as np
import torch
from sklearn.neighbors import KNeighborsClassifier

from galaxies import catalogue
from metric import Embedder, hardest_triplets

config = dict(samples=80_000, rounds=2, batch=256, steps_per_round=15, lr=1e-3, margin=0.3, seed=21)


def embed_all(model, light):
    model.eval()
    with torch.no_grad():
        return torch.cat([model(part) for part in light.split(8192)])


def one_round(model, optimizer, light, kind):
    pool = torch.arange(len(light))
    points = embed_all(model, light[pool])
    positive, negative = hardest_triplets(points, kind[pool])
    model.train()
    total = 0.0
    for _ in range(config["steps_per_round"]):
        pick = torch.randint(len(pool), (config["batch"],))
        anchor = model(light[pool[pick]])
        near = model(light[pool[positive[pick]]])
        far = model(light[pool[negative[pick]]])
        loss = torch.nn.functional.triplet_margin_loss(anchor, near, far, margin=config["margin"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total / config["steps_per_round"]


def neighbours_agree(model, light, kind, n=1500):
    points = embed_all(model, light[: 2 * n]).numpy()
    knn = KNeighborsClassifier(5).fit(points[:n], kind[:n])
    return knn.score(points[n:], kind[n : 2 * n])


def main():
    torch.manual_seed(config["seed"])
    np.random.seed(config["seed"])
    light, kind = catalogue(config["samples"], seed=config["seed"])
    light, kind = torch.from_numpy(light), torch.from_numpy(kind)
    model = Embedder(light.shape[1])
    optimizer = torch.optim.Adam(model.parameters(), lr=config["lr"])
    for number in range(config["rounds"]):
        loss = one_round(model, optimizer, light, kind)
        print(f"round {number}: loss {loss:.3f}, kNN {neighbours_agree(model, light, kind):.3f}")


main()
