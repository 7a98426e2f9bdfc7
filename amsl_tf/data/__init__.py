"""Sensor windows: what they are, where they come from, how they are split, stored and fed to the network."""
