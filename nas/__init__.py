"""The search: what to try next, where it runs, what is kept, what a user types."""
