"""The nouns of reelpage: jobs, shards, features, tables, errors. Only validation, no behaviour."""

__version__ = "0.1.0"
