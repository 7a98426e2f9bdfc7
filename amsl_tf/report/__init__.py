"""The report of an evaluation: one page that opens anywhere, and its figures as files."""

from amsl_tf.report.page import write_report

__all__ = ["write_report"]
