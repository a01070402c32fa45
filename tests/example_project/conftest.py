"""Keeps these tests out of the suite around them: tests/integration/test_example_project.py runs them, without this."""

collect_ignore = ["tests"]
