"""Find, explain and mend the mistakes in PyTorch programs."""

__version__ = "0.1.0"
