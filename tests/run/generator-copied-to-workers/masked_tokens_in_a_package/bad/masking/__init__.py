from masking.masked import MaskedSentences

__all__ = ["MaskedSentences"]
