"""The verbs of reelpage. In order: consume, decode, encode, generate, land, query."""
