"""The same answers as pytrees and jitted functions, on whatever device JAX runs on.

stack = execspec_fast.jax.Maps.of(specs)
sample = execspec_fast.jax.ActionSample.of(u)
drift = execspec_fast.jax.drift_matrix(stack, sample, "mean_abs")
"""

from __future__ import annotations

from ..errors import MissingDependencyError

try:
    import jax as _jax  # noqa: F401
except ImportError as error:
    raise MissingDependencyError("execspec_fast.jax needs jax; pip install 'execspec-fast[jax]'") from error

from .maps import Maps as Maps
from .matrix import drift as drift
from .matrix import drift_block as drift_block
from .matrix import drift_matrix as drift_matrix
from .mismatch import Mismatch as Mismatch
from .mismatch import mismatch as mismatch
from .pair import Pair as Pair
from .precision import PrecisionWarning as PrecisionWarning
from .sample import ActionSample as ActionSample
from .table import Table as Table
from .table import normalize as normalize
from .table import unnormalize as unnormalize
