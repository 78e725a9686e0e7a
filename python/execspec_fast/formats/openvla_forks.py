"""Whose un-normalizer runs on figures in OpenVLA's layout: which of its forks saved them, and how that is known."""

from __future__ import annotations

import re

from ..conventions import Fact, inferred
from ..errors import FormatError
from ..stats import NormStats
from .figures import named
from .tree import Folder

OFT_FILES = re.compile(r"(?:action_head|proprio_projector)--.+|lora_adapter/.+")
"""Files that OpenVLA-OFT saves beside its weights and OpenVLA does not."""

PROCESSOR = "processor_config.json"
"""Where SpatialVLA keeps its figures."""

ONE_DATASET = re.compile(r"dataset_statistics_(?![0-9a-f]{64}\.)[^/]+\.json")
"""How RoboVLMs names its files; a hash in the name is OpenVLA's own cache."""

FILE = "dataset_statistics.json"

NEEDS = {
    "openvla": "q01",
    "openvla-oft": "q01",
    "openvla-oft-minmax": "min",
    "starvla-q99": "q01",
    "starvla-mean_std": "std",
    "starvla-client": "min",
}
"""A figure that each alternative cannot do without."""

STARVLA = "{}; modes are in Python, and most are min and max; its server drops the mask"

FORKS = {
    "cogact": "the path says CogACT, which clips u and makes the gripper binary first",
    "nora": "the path says Nora, whose decoder scales the masked channels too",
    "robovlms": "the path says RoboVLMs, whose figures have no mask",
    "spatialvla": "the path says SpatialVLA",
}


def whose(folder: Folder) -> tuple[Fact[str], tuple[str, ...]]:
    """The un-normalizer that runs, and others that could."""
    if _holds_statistics(folder):
        return inferred("spatialvla", f"{PROCESSOR} holds the figures, as SpatialVLA's does"), ("openvla",)
    for fork, rule in FORKS.items():
        if named(fork, folder):
            return inferred(fork, rule), ("openvla",)
    starvla = "the path says starVLA" if named("starvla", folder) else _beside_state(folder)
    if starvla:
        others = ("starvla-q99", "starvla-mean_std", "starvla-client")
        return inferred("starvla-min_max", STARVLA.format(starvla)), others
    if any(ONE_DATASET.fullmatch(name) for name in folder.files):
        return inferred("robovlms", "one file per dataset, without a key, is RoboVLMs' layout"), ("openvla",)
    saved = next((name for name in folder.files if OFT_FILES.fullmatch(name)), "")
    path = named("oft", folder)
    if not saved and not path:
        rule = "the layout is OpenVLA's, and neither the files nor the path say OpenVLA-OFT"
        return inferred("openvla", rule), ("openvla-oft",)
    rule = f"{saved} is a file that OpenVLA-OFT saves" if saved else f"the path says OFT: {path}"
    aloha = named("aloha", folder)
    if aloha and not named("libero", folder):
        rule += f"; where its command line says aloha, as {aloha} does, it un-normalizes by min and max"
        return inferred("openvla-oft-minmax", rule), ("openvla-oft",)
    return inferred("openvla-oft", rule), ("openvla",)


def possible(alternatives: tuple[str, ...], stats: NormStats) -> tuple[str, ...]:
    """Those of the alternatives that these figures can run; OpenVLA-OFT's min and max where there are no quantiles."""
    wide = stats.dim > 6  # the clients of starVLA make channel 6 binary
    fitting = tuple(name for name in alternatives if NEEDS[name] in stats and (wide or name != "starvla-client"))
    return fitting or (("openvla-oft-minmax",) if "min" in stats and "openvla-oft" in alternatives else ())


def ecosystem_of(profile: Fact[str]) -> str:
    """Whose profile it is: its name without the mode."""
    return re.sub(r"-(?:minmax|min_max)$", "", str(profile.value))


def _beside_state(folder: Folder) -> str:
    """Why the figures are starVLA's: those of the state are called `state`, where the Open-X forks say `proprio`."""
    file = folder.files.get(FILE)
    try:
        document = file.json() if file else None
    except FormatError:
        return ""
    entries = document.values() if isinstance(document, dict) else ()
    blocks = [entry for entry in entries if isinstance(entry, dict) and "action" in entry]
    starvla = blocks and all(isinstance(entry.get("state"), dict) and "proprio" not in entry for entry in blocks)
    return f"{FILE} has `state` beside `action`, as starVLA's" if starvla else ""


def _holds_statistics(folder: Folder) -> bool:
    file = folder.files.get(PROCESSOR)
    try:
        return file is not None and b'"statistics"' in file.read()
    except FormatError:
        return False
