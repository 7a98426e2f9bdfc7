"""What a training shows of itself: TensorBoard's files and, with the losses, the use of the memories at every epoch."""

from amsl_tf.monitoring.monitor import PICTURED, Monitor, Watched

__all__ = ["PICTURED", "Monitor", "Watched"]
