"""How gexcore finds this backend; imports no TensorFlow."""

from __future__ import annotations

from gexcore.backend import BackendSpec, hookimpl


@hookimpl
def gexcore_register_backend() -> BackendSpec:
    """Keras models and plain modules.

    A Keras model is found by the framework it runs on: one on JAX is taken in order to be told
    what to do, one on PyTorch is a torch module, which is that backend's business.
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
    )
