"""The operators: modules that mix or move channels, one idea a file."""
