"""TensorFlow for gexcore: Keras models, and any ``tf.Module``.

The package itself imports nothing, so that finding the backend does not load TensorFlow.
"""
