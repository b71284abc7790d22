"""Inspect: what a lake holds, and whether that is what was asked for."""
