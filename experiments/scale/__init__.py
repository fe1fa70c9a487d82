"""What breaks when a search grows: ten thousand trials on 64 workers."""
