"""Command line: what a person types and reads."""
