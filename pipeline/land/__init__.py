"""Land: rows into the tables of a lake, exactly once, and what else a lake keeps."""
