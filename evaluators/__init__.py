"""What an architecture is worth: counted, timed and trained."""
