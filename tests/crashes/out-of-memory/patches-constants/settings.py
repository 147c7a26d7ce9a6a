"""Everything that an experiment changes."""

IMAGES = 12
SIDE = 420
PATCH = 5
BATCH_SIZE = 1_500_000
STEPS = 4
TEMPERATURE = 0.2
LEARNING_RATE = 3e-3
