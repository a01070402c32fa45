"""Deployable entrypoints: wiring only."""
