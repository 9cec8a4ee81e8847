"""Parameters that are sharded over a mesh of devices stay so; in a process of its own, which has
two devices."""

from __future__ import annotations

import os
import subprocess
import sys

SCRIPT = """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
import gexcore as gx
from gexcore_jax.backend import JaxBackend

assert len(jax.devices()) == 2
rng = np.random.default_rng(0)
w = rng.normal(size=(4, 6)).astype("f")
data = rng.normal(size=(32, 4)).astype("f"), np.arange(32) % 6
apply = lambda params, x: x @ params
sharding = NamedSharding(Mesh(np.array(jax.devices()), ("d",)), PartitionSpec(None, "d"))
sharded = jax.device_put(jnp.asarray(w), sharding)
backend = JaxBackend((apply, sharded))
state = backend.sgd_step(backend.initial_state(), data, lr=0.1, seed=0)
assert state.params.sharding == sharding, state.params.sharding
back = backend.from_arrays(backend.to_arrays(state))
assert back.params.sharding == sharding
assert np.array_equal(back.params, state.params)
method = gx.GEX(chains=1, snapshots=2, lr=0.05, steps_per_snapshot=3, batch_size=8)
one, other = (method.fit((apply, p), data, progress=False) for p in (sharded, w))
np.testing.assert_allclose(one.losses, other.losses, rtol=1e-4, atol=1e-5)
"""


def test_sharding_is_kept() -> None:
    env = {
        **os.environ,
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        "JAX_PLATFORMS": "cpu",
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
