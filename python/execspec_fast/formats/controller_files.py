"""`load_controller`: a controller by file or by name."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from ..controller import Controller
from ..controllers import find_controller
from . import droid, robosuite
from .tree import Tree


def load_controller(target: str | os.PathLike[str]) -> Controller:
    """The controller that a file configures, or the one of that name in `controllers.CONTROLLERS`.

    Args:
        target: robosuite JSON, `FILE::PART` for one part of a composite; a Polymetis robot model (YAML); or a name.
            A file wins over a name.

    Raises:
        UnknownControllerError: neither a file nor a name.
        FormatError: a file that is no controller, or a broken one.
    """
    text = os.fspath(target)
    path, _, part = text.partition("::")
    if not Path(path).is_file():
        return find_controller(text)
    (file,) = Tree(path).files
    found = droid.read_controller(file) if droid.is_robot_model(file) else robosuite.read_controller(file, part)
    return replace(found, sha256=file.sha256)
