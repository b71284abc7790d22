"""The samples, and the scripts that make them; not part of the wheel."""
