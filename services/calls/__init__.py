"""Calls: what processes of ours ask of each other over HTTP, whatever they speak about."""
