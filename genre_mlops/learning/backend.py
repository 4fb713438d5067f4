"""Keras and TensorFlow, imported in this one place and without their greeting."""

from genre_mlops.processes import quiet_stderr

with quiet_stderr():
    import keras
    import tensorflow as tf

__all__ = ["keras", "tf"]
