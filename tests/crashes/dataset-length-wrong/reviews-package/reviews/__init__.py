"""Tiny sentiment classifier on generated product reviews."""
