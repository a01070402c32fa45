"""The functions that the entrypoints serve."""
