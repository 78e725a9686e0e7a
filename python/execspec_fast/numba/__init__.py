"""The same for jitted code: functions that numba users call from theirs, with the bits of the compiled core.

The first import compiles (about ten seconds) and keeps the result in numba's cache; later ones load it.

Raises:
    MissingDependencyError: numba is not installed.
"""

from ..errors import MissingDependencyError

try:
    import numba as _numba  # noqa: F401
except ImportError as error:
    raise MissingDependencyError("execspec_fast.numba needs numba: pip install 'execspec-fast[numba]'") from error

from .apply import unnormalize as unnormalize
from .column import column as column
from .drift import Drift as Drift
from .drift import drift as drift
from .drift import pieces as pieces
from .gate import gate_plan as gate_plan
from .gate import gate_state as gate_state
from .gate import gate_step as gate_step
