"""TensorFlow for gexcore: Keras models, and any ``tf.Module``.

The package imports nothing itself, so that a search for backends does not load TensorFlow.
"""
