"""Benchmarks: what reelpage costs, measured beside a named peer in the same run."""
