"""Vocabulary: the closed lists of words, or characters, of eleven languages."""
