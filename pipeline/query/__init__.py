"""Query: reads the tables of a lake, by SQL, and whether they are whole."""
