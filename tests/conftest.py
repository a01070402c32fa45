"""Lies here so that what lies beside it can be imported by all tests."""
