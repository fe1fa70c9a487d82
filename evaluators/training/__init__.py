"""Data sets, recipes and the one training loop."""
