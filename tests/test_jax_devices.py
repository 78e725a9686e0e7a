"""Four devices give what one gives: keys shared out by `shard_map`, rows by the sharding of their array."""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """
import execspec_fast.jax as esj
import jax
import numpy as np
from execspec_fast import Unnormalizer
from execspec_fast.ops import OpKind, stage
from jax.sharding import AxisType, NamedSharding, PartitionSpec

jax.config.update("jax_enable_x64", True)
rng = np.random.default_rng(0)
low, high = -rng.uniform(0.3, 1, (8, 2)), rng.uniform(0.3, 1, (8, 2))
specs = [Unnormalizer.from_bounds(*bounds) for bounds in zip(low, high)]
specs[1] = specs[1].then(stage(2, OpKind.CLIP, -0.2, 0.3))
u = rng.normal(0, 0.6, (1024, 2))
maps, sample = esj.Maps.of(specs), esj.ActionSample.of(u)
mesh = jax.make_mesh((4,), ("devices",), axis_types=(AxisType.Auto,))
split = PartitionSpec("devices")

for metric in ("mean_abs", "mean_l2"):
    one = np.asarray(esj.drift_matrix(maps, sample, metric))
    block = lambda some: esj.drift_block(some, maps, sample, metric)
    shared = jax.jit(jax.shard_map(block, mesh=mesh, in_specs=split, out_specs=split))(maps)
    assert len(shared.sharding.device_set) == 4
    np.testing.assert_allclose(shared, one, rtol=1e-14)

rows = jax.device_put(u, NamedSharding(mesh, split))
a = esj.unnormalize(specs[1], rows)
assert len(a.sharding.device_set) == 4
np.testing.assert_array_equal(a, esj.unnormalize(specs[1], u))

def over_rows(u):
    return jax.lax.pmean(esj.drift_matrix(maps, esj.ActionSample.of(u), "mean_l2"), "devices")

whole = jax.jit(jax.shard_map(over_rows, mesh=mesh, in_specs=split, out_specs=PartitionSpec()))(rows)
np.testing.assert_allclose(whole, one, rtol=1e-13)
"""


def test_keys_and_rows_over_four_devices():
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"
    env = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
