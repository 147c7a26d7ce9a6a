from .mining import hardest_triplets
from .net import Embedder

__all__ = ["Embedder", "hardest_triplets"]
