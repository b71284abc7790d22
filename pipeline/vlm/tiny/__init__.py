"""Tiny checkpoint that ships with the wheel: for the demo and the tests, not for real work."""
