"""The published networks by family, layers registered in order of execution."""
