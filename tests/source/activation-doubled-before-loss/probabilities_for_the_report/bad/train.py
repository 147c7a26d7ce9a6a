import torch
import torch.nn.functional as F

torch.manual_seed(5)
flowers = torch.randn(60, 4)
species = torch.randint(0, 3, (60,))
net = torch.nn.Linear(4, 3)
opt = torch.optim.Adam(net.parameters())
for step in range(4):
    logits = net(flowers)
    probs = logits.softmax(dim=-1)
    loss = F.cross_entropy(probs, species)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(f"{step}: loss {loss.item():.3f}, most certain {probs.max().item():.2f}")
