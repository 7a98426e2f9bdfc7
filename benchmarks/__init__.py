"""How fast and how good: what the measurements in README come from."""
