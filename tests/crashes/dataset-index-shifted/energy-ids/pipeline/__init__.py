from pipeline.registry import read_registry, write_registry
from pipeline.sets import HouseDataset

__all__ = ["HouseDataset", "read_registry", "write_registry"]
