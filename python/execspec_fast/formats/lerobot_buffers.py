"""LeRobot up to 0.3: statistics as buffers inside `model.safetensors`.

`unnormalize_outputs.buffer_action.{mean,std}` or `.{min,max}`: the mode decides which exist. Older files write the
last dot as `_`; compiled or wrapped policies prefix the name (`model.`, `_orig_mod.`); policies trained on several
datasets add the dataset's name, which is then the key. A buffer that was never loaded still holds +inf everywhere.
`normalize_targets` holds the copy that training used. Source: lerobot 0.3.3 `policies/normalize.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..conventions import Fact, declared, inferred
from ..stats import NormStats
from .figures import make_stats
from .lerobot_pipelines import as_float32
from .published import Source
from .safetensors import TensorInfo, read_tensors
from .tree import File

MEAN_STD, MIN_MAX = "lerobot-0.3-mean_std", "lerobot-0.3-min_max"
EXECUTED, TRAINED = "unnormalize_outputs", "normalize_targets"

_BUFFER = re.compile(
    rf"(?P<outer>(?:.+\.)?)(?P<module>{EXECUTED}|{TRAINED})\."
    r"(?P<inner>(?:.+\.)?)buffer_action[._](?P<figure>mean|std|min|max)"
)
_WRAPPERS = {"", "model", "policy", "module", "_orig_mod"}


@dataclass(frozen=True)
class Buffers:
    """The action buffers of one dataset.

    Attributes:
        key: the dataset's name, or `action` where the buffers are not told apart.
        stats: what un-normalizes.
        trained: the copy that training normalized with, None if it is not stored.
        profile: the un-normalizer, by which buffers exist.
        alternatives: the other one, where buffers of both modes exist.
        source: the first of the tensors.
    """

    key: str
    stats: NormStats
    trained: NormStats | None
    profile: Fact[str]
    alternatives: tuple[str, ...]
    source: Source


def read_buffers(file: File, header: Mapping[str, TensorInfo]) -> tuple[Buffers, ...]:
    """The action buffers of a weight file with this header; empty if it has none.

    Raises:
        FormatError: buffers that cannot be read, or of different shapes.
    """
    named: dict[tuple[str, str], dict[str, str]] = {}
    for name in header:
        if found := _BUFFER.fullmatch(name):
            words = [word for word in f"{found['outer']}{found['inner']}".split(".") if word not in _WRAPPERS]
            named.setdefault((".".join(words) or "action", found["module"]), {})[found["figure"]] = name
    values = read_tensors(file, {name: header[name] for tensors in named.values() for name in tensors.values()})
    stats = {}
    for place, tensors in named.items():
        figures = {figure: as_float32(values[name]) for figure, name in tensors.items()}
        stats[place] = make_stats(file.path, next(iter(tensors.values())), figures, float32=True)
    return tuple(
        Buffers(
            key,
            stats[key, module],
            stats.get((key, TRAINED)),
            *_profile(file, tensors),
            file.source(next(iter(tensors.values()))),
        )
        for (key, module), tensors in named.items()
        if module == EXECUTED
    )


def _profile(file: File, tensors: dict[str, str]) -> tuple[Fact[str], tuple[str, ...]]:
    moments, bounds = {"mean", "std"} & set(tensors), {"min", "max"} & set(tensors)
    if moments and bounds:
        return inferred(MEAN_STD, "buffers of both modes exist; mean and std are the more common mode"), (MIN_MAX,)
    return declared(MEAN_STD if moments else MIN_MAX, f"{file.path}#{next(iter(tensors.values()))}"), ()
