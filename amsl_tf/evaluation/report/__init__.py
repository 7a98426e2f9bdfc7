"""The reports of an evaluation and of a recording: self-contained HTML pages."""

from amsl_tf.evaluation.report.page import write_report
from amsl_tf.evaluation.report.recording import write_recording_report

__all__ = ["write_recording_report", "write_report"]
