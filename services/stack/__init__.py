"""Stack: the servers of one machine, started, found again and stopped."""
