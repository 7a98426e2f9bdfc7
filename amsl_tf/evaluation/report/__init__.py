"""The report of an evaluation: a self-contained HTML page, and its figures as PNG files."""

from amsl_tf.evaluation.report.page import write_report

__all__ = ["write_report"]
