"""Soak: the stream of real processes under kills, pauses and a bad network."""
