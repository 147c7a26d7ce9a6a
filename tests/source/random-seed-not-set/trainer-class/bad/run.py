from dataclasses import dataclass

from trainer import Trainer


@dataclass
class Config:
    hidden: int = 24
    rate: float = 0.05
    rounds: int = 4
    seed: int = 11


if __name__ == "__main__":
    config = Config()
    trainer = Trainer(config)
    trainer.fit()
