"""The scores, one module for each, registered in `amsl_tf.scoring.SCORES`."""
