"""Runs `amsl report` from a checkout, without installation."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from amsl_tf.cli import main

if __name__ == "__main__":
    main(command="report")
