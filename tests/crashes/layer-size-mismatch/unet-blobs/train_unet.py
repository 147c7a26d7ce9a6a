import torch
from torch.utils.data import DataLoader

from unet import UNet
from utils.blobs import BlobSegmentation
from utils.losses import dice, segmentation_loss

torch.manual_seed(2024)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def train(net, loader, optim):
    net.train()
    for step, (image, mask) in enumerate(loader):
        image, mask = image.to(device), mask.to(device)
        loss = segmentation_loss(net(image), mask)
        optim.zero_grad()
        loss.backward()
        optim.step()
        if step % 4 == 0:
            print("  step %2d loss %.4f" % (step, loss.item()))


def test(net, loader):
    net.eval()
    scores = []
    with torch.no_grad():
        for image, mask in loader:
            prob = net(image.to(device)).sigmoid()
            scores.append(dice((prob > 0.5).float(), mask.to(device)).item())
    return sum(scores) / len(scores)


if __name__ == "__main__":
    train_loader = DataLoader(BlobSegmentation(96, seed=1), batch_size=12, shuffle=True)
    test_loader = DataLoader(BlobSegmentation(24, seed=2), batch_size=12)
    net = UNet().to(device)
    optim = torch.optim.Adam(net.parameters(), lr=2e-3)
    for epoch in range(2):
        print("epoch", epoch)
        train(net, train_loader, optim)
        print("  dice %.3f" % test(net, test_loader))
