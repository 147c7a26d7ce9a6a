import math
import random


class PoleOnCart:
    """A pole on a cart; action 0 pushes left, 1 pushes right."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.state = None

    def reset(self):
        self.state = [self.rng.uniform(-0.05, 0.05) for _ in range(4)]
        return list(self.state)

    def step(self, action):
        x, speed, angle, spin = self.state
        force = 10.0 if action == 1 else -10.0
        sin, cos = math.sin(angle), math.cos(angle)
        push = (force + 0.05 * spin * spin * sin) / 1.1
        spin_change = (9.8 * sin - cos * push) / (0.5 * (4 / 3 - 0.1 * cos * cos / 1.1))
        speed_change = push - 0.05 * spin_change * cos / 1.1
        tick = 0.02
        self.state = [
            x + tick * speed,
            speed + tick * speed_change,
            angle + tick * spin,
            spin + tick * spin_change,
        ]
        fallen = abs(self.state[0]) > 2.4 or abs(self.state[2]) > 0.21
        return list(self.state), 1.0, fallen
