import torch.nn.functional as F


def dice(prob, mask, eps=1.0):
    inter = (prob * mask).sum(dim=(1, 2, 3))
    both = prob.sum(dim=(1, 2, 3)) + mask.sum(dim=(1, 2, 3))
    return ((2 * inter + eps) / (both + eps)).mean()


def segmentation_loss(logit, mask):
    return F.binary_cross_entropy_with_logits(logit, mask) + 1 - dice(logit.sigmoid(), mask)
