"""The four stages of the original code, one module for each: preprocessing, transformation, training, evaluation."""
