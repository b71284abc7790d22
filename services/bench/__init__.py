"""Bench: how fast the stages are on this machine, beside what the machine could do at best."""
