import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

from cvae.digits import digits_as_arrays
from cvae.model import ConditionalVAE


def vae_loss(logits, x, mean, log_var):
    rebuilt = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
    divergence = -0.5 * torch.sum(1 + log_var - mean.pow(2) - log_var.exp())
    return (rebuilt + divergence) / x.size(0)


def show(image):
    for row in image:
        print("".join(" .:*#"[min(4, int(value * 5))] for value in row.tolist()))


def main():
    torch.manual_seed(33)
    pixels, digits = digits_as_arrays()
    dataset = TensorDataset(torch.from_numpy(pixels), torch.from_numpy(digits))
    loader = DataLoader(dataset, batch_size=100, shuffle=True)
    vae = ConditionalVAE()
    optimizer = torch.optim.Adam(vae.parameters(), lr=1e-2)
    for epoch in range(5):
        total = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            logits, mean, log_var = vae(x, y)
            loss = vae_loss(logits, x, mean, log_var)
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(f"epoch {epoch}: {total / len(loader):.2f}")
    show(vae.draw(3))


if __name__ == "__main__":
    main()
