"""What a replayed training step would need on a card: pure arithmetic over its events, without torch."""
