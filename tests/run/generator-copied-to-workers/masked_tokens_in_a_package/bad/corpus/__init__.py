from corpus.masked import MaskedSentences

__all__ = ["MaskedSentences"]
