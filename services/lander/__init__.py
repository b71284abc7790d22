"""Lander: the process in which all workers' commits meet."""
