"""Storage: buckets and folders behind one interface."""
