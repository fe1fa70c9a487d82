"""What to try next: one algorithm a file, all behind `ask(archive, n)`."""
