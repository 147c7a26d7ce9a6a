"""Training steps replayed on tensors without memory, in a child process: what they would take on a card."""
