"""Keras and TensorFlow, imported in this one place and without their greeting."""

import gc

from genre_mlops.processes import quiet_stderr

# What an import makes stays. The garbage collector need not look at these million objects, neither
# while they come nor after each training: a fifth of the CPU time of a short one.
gc.disable()
try:
    with quiet_stderr():
        import keras
        import tensorflow as tf
finally:
    gc.enable()
gc.collect()
gc.freeze()

# That each network's graph is made anew is as it should be.
tf.get_logger().setLevel("ERROR")
# Several trials may share one GPU; by default the first would take all of its memory.
for _gpu in tf.config.list_physical_devices("GPU"):
    tf.config.experimental.set_memory_growth(_gpu, True)

__all__ = ["keras", "tf"]
