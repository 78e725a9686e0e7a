"""Readers, one per ecosystem: a file layout goes in, `Published` figures and conventions come out.

Nothing outside this package knows a file layout, and nothing inside it knows arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from .published import Checkpoint, FileRecord
from .tree import Folder

Reader = Callable[[Folder], Checkpoint | None]


def readers() -> tuple[Reader, ...]:
    """A new ecosystem is one more name here. Imported when needed: they are half of this package's import time."""
    from . import gr00t, gr00t_dataset, lerobot, lerobot_dataset, octo, openpi, openvla, small_stacks, tensor_stats

    return (
        openvla.read,
        octo.read,
        openpi.read,
        lerobot.read,
        lerobot_dataset.read,
        gr00t.read,
        gr00t_dataset.read,
        small_stacks.read,
        tensor_stats.read,
    )


METADATA = (
    "*config.json",
    "*norm*.json",
    "*stat*.json",
    "*stat*.jsonl",
    "*policy_*processor.json",
    "*policy_*processor_step_*.safetensors",
    "*meta/info.json",
    "*modality.json",
    "*experiment_cfg/metadata.json",
    "*embodiment_id.json",
)
"""Globs (`*` crosses folders) of every file a reader takes, weights left out: LeRobot before 0.4 keeps its statistics
inside `model.safetensors`, and Diffusion Policy, robomimic and wall-x keep theirs among the weights too."""


def read_folder(folder: Folder) -> tuple[Checkpoint, ...]:
    """What the files of a folder publish: one `Checkpoint` per ecosystem that finds its layout, at least one in all.

    Every file of the folder has exactly one record in exactly one of them. Files that no reader took are recorded
    with the first; a folder that no reader took is a checkpoint without ecosystem and keys.
    """
    from .recognise import recognise

    found = [checkpoint for read in readers() if (checkpoint := read(folder))]
    first, *others = found or [Checkpoint(folder.path, "", repo=folder.repo, revision=folder.revision)]
    taken: dict[str, FileRecord] = {}
    checkpoints = []
    for checkpoint in (first, *others):
        own = [record for record in checkpoint.files if record.path not in taken]
        taken.update((record.path, record) for record in own)
        checkpoints.append(replace(checkpoint, files=tuple(own)))
    rest = [recognise(file, folder) for file in folder.files.values() if file.path not in taken]
    files = sorted([*checkpoints[0].files, *rest], key=lambda record: record.path)
    return (replace(checkpoints[0], files=tuple(files)), *checkpoints[1:])
