"""What stopping at rungs saves, and what it costs."""
