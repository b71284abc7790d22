"""Maintenance: what is done to a lake beside its writers: files merged, swept, media forgotten."""
