"""What will this checkpoint, with this key, make the robot do?

spec = execspec_fast.load_spec("checkpoints/openvla-7b#bridge_orig")
a = spec.unnormalize(u)
report = execspec_fast.audit("checkpoints")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

try:
    from ._core import __version__ as __version__
except ImportError as error:
    error.add_note("execspec_fast's compiled core is not here or does not load: install the package, `pip install .`")
    raise

from . import isa as isa
from .classes import EquivalenceClasses as EquivalenceClasses
from .classes import equivalence_classes as equivalence_classes
from .controllers import Controller as Controller
from .conventions import Conventions as Conventions
from .conventions import Fact as Fact
from .domain import Domain as Domain
from .drift import Drift as Drift
from .drift import drift as drift
from .errors import AmbiguousKeyError as AmbiguousKeyError
from .errors import ArrayError as ArrayError
from .errors import DTypeError as DTypeError
from .errors import ExecSpecError as ExecSpecError
from .errors import Finding as Finding
from .errors import FormatError as FormatError
from .errors import GuardError as GuardError
from .errors import GuardWarning as GuardWarning
from .errors import MissingDependencyError as MissingDependencyError
from .errors import MissingStatsError as MissingStatsError
from .errors import NotInvertibleError as NotInvertibleError
from .errors import ShapeMismatchError as ShapeMismatchError
from .errors import StatsError as StatsError
from .errors import TargetNotFoundError as TargetNotFoundError
from .errors import ThreadError as ThreadError
from .errors import UnknownKeyError as UnknownKeyError
from .errors import UnknownProfileError as UnknownProfileError
from .errors import UnsafePathError as UnsafePathError
from .errors import UnsupportedIsaError as UnsupportedIsaError
from .l2 import L2Bounds as L2Bounds
from .l2 import mean_l2_bounds as mean_l2_bounds
from .matrix import drift_block as drift_block
from .matrix import drift_matrix as drift_matrix
from .mismatch import Mismatch as Mismatch
from .mismatch import mismatch as mismatch
from .profile import Profile as Profile
from .profiles import PROFILES as PROFILES
from .sample import ActionSample as ActionSample
from .shards import drift_over as drift_over
from .shards import drift_union as drift_union
from .stats import NormStats as NormStats
from .survey import Survey as Survey
from .survey import survey as survey
from .tiles import drift_tiles as drift_tiles
from .unnormalizer import Unnormalizer as Unnormalizer

if TYPE_CHECKING:
    from .actions import Actions as Actions
    from .actions import load_actions as load_actions
    from .auditing.audit import audit as audit
    from .auditing.outcome import AuditReport as AuditReport
    from .auditing.outcome import ExitCode as ExitCode
    from .bounds import DriftBounds as DriftBounds
    from .bounds import drift_bounds as drift_bounds
    from .certificates.certificate import Certificate as Certificate
    from .certificates.certificate import certify as certify
    from .certificates.policy import Policy as Policy
    from .certificates.verification import Verification as Verification
    from .certificates.verification import verify as verify
    from .certificates.wire import VerifyCode as VerifyCode
    from .deployment import Deployment as Deployment
    from .formats.controller_files import load_controller as load_controller
    from .guarding.calibration import Calibration as Calibration
    from .guarding.calibration import calibrate as calibrate
    from .guarding.guard import Guard as Guard
    from .guarding.monitor import ActionMonitor as ActionMonitor
    from .guarding.status import Fault as Fault
    from .guarding.status import Mode as Mode
    from .guarding.status import Verdict as Verdict
    from .guarding.watch import Watch as Watch
    from .guarding.watching import WatchLimits as WatchLimits
    from .registry import Registry as Registry
    from .registry import load_spec as load_spec
    from .registry import open_registry as open_registry
    from .spec import ExecSpec as ExecSpec

_UPPER_FLOORS = {
    "ActionMonitor": "guarding.monitor",
    "Calibration": "guarding.calibration",
    "calibrate": "guarding.calibration",
    "Fault": "guarding.status",
    "Guard": "guarding.guard",
    "Mode": "guarding.status",
    "Verdict": "guarding.status",
    "Watch": "guarding.watch",
    "WatchLimits": "guarding.watching",
    "load_controller": "formats.controller_files",
    "Deployment": "deployment",
    "VerifyCode": "certificates.wire",
    "verify": "certificates.verification",
    "Verification": "certificates.verification",
    "Policy": "certificates.policy",
    "certify": "certificates.certificate",
    "Certificate": "certificates.certificate",
    "drift_bounds": "bounds",
    "DriftBounds": "bounds",
    "Actions": "actions",
    "load_actions": "actions",
    "audit": "auditing.audit",
    "AuditReport": "auditing.outcome",
    "ExitCode": "auditing.outcome",
    "Registry": "registry",
    "load_spec": "registry",
    "open_registry": "registry",
    "ExecSpec": "spec",
}
"""Names that read files, and their modules: loaded when first used, since arithmetic alone needs none of them."""

__all__ = [
    "PROFILES",
    "ActionMonitor",
    "ActionSample",
    "Actions",
    "AmbiguousKeyError",
    "ArrayError",
    "AuditReport",
    "Calibration",
    "Certificate",
    "Controller",
    "Conventions",
    "DTypeError",
    "Deployment",
    "Domain",
    "Drift",
    "DriftBounds",
    "EquivalenceClasses",
    "ExecSpec",
    "ExecSpecError",
    "ExitCode",
    "Fact",
    "Fault",
    "Finding",
    "FormatError",
    "Guard",
    "GuardError",
    "GuardWarning",
    "L2Bounds",
    "Mismatch",
    "MissingDependencyError",
    "MissingStatsError",
    "Mode",
    "NormStats",
    "NotInvertibleError",
    "Policy",
    "Profile",
    "Registry",
    "ShapeMismatchError",
    "StatsError",
    "Survey",
    "TargetNotFoundError",
    "ThreadError",
    "UnknownKeyError",
    "UnknownProfileError",
    "Unnormalizer",
    "UnsafePathError",
    "UnsupportedIsaError",
    "Verdict",
    "Verification",
    "VerifyCode",
    "Watch",
    "WatchLimits",
    "__version__",
    "audit",
    "calibrate",
    "certify",
    "drift",
    "drift_block",
    "drift_bounds",
    "drift_matrix",
    "drift_over",
    "drift_tiles",
    "drift_union",
    "equivalence_classes",
    "isa",
    "load_actions",
    "load_controller",
    "load_spec",
    "mean_l2_bounds",
    "mismatch",
    "open_registry",
    "survey",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _UPPER_FLOORS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_UPPER_FLOORS[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
