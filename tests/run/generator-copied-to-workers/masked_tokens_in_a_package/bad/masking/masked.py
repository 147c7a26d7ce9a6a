import torch
from torch.utils.data import Dataset

MASK = 1


class Masking(Dataset):
    """Hides some of the tokens; what is left visible is marked by -100 in the targets."""

    def __init__(self, share, seed):
        self.share = share
        self.generator = torch.Generator()
        self.generator.manual_seed(seed)

    def mask(self, tokens):
        hidden = torch.rand(tokens.shape, generator=self.generator) < self.share
        hidden[0] = True
        return tokens.masked_fill(hidden, MASK), tokens.masked_fill(~hidden, -100)


class MaskedSentences(Masking):
    def __init__(self, sentences, share=0.15, seed=0):
        super().__init__(share, seed)
        self.sentences = sentences

    def __len__(self):
        return len(self.sentences)

    def __getitem__(self, index):
        return self.mask(self.sentences[index])
