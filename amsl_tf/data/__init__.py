"""Windows and recordings: validation, splits, files."""
