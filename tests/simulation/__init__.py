"""Simulation: ingest workers on a virtual clock, under every fault that we can think of."""
