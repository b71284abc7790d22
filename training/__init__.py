"""Training of the checkpoint that ships with reelpage; not part of the wheel."""
