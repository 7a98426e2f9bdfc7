"""Monitoring of a training run: TensorBoard files, and at every epoch the use of the memories beside the losses."""

from amsl_tf.training.monitoring.monitor import PICTURED, Monitor, MonitorBatch

__all__ = ["PICTURED", "Monitor", "MonitorBatch"]
