"""Training: data pipelines, the loop with exact resuming, precision, and monitoring."""
