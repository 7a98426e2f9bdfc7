"""Evaluation: metrics, the folder of results, and reports."""
