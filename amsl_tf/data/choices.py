"""The choices of settings for recordings, in a module without imports that slow down `--help`."""

from typing import Literal

GroupBy = Literal["file", "folder"]
Missing = Literal["interpolate", "refuse"]
ResampleBy = Literal["mean", "last"]
