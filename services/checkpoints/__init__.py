"""Checkpoints: from what the user calls a model to a folder of this machine."""
