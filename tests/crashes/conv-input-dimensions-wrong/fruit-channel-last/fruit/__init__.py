"""Ripeness of drawn fruit: green, yellow or brown."""
