"""Runs `python -m amsl_tf` as `amsl`."""

from amsl_tf.cli import main

main()
