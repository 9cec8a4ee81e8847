"""The plugin of this backend. It imports no TensorFlow."""

from __future__ import annotations

from gexcore.backend import BackendSpec, hookimpl


@hookimpl
def gexcore_register_backend() -> BackendSpec:
    """Keras models and plain modules.

    A Keras model on JAX is taken here, so that an error says what to do. A Keras model on PyTorch
    is a torch module, and the PyTorch backend takes it.
    """
    return BackendSpec(
        name="tensorflow",
        factory="gexcore_tensorflow.backend:TensorFlowBackend",
        models=(
            "keras.src.backend.tensorflow.layer.TFLayer",
            "keras.src.backend.jax.layer.JaxLayer",
            "tensorflow.python.module.module.Module",
        ),
        requires=("tensorflow",),
        hint="pip install 'gexcore[tensorflow]'",
        demo="gexcore_tensorflow.demo:train",
        files={".keras": "gexcore_tensorflow.files:read_keras"},
    )
