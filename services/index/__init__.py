"""Index: the files of one machine into a lake, by one process."""
