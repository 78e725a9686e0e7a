"""Verifying a certificate: are these its bytes, is it in date, and does it still say what is so?"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy.typing as npt

from .. import _core
from ..controller import GIVEN as RATE_GIVEN
from ..controller import Controller, at_rate
from ..controllers import find_controller
from ..errors import ExecSpecError, TargetNotFoundError
from ..formats.controller_files import load_controller
from ..formats.strict_json import escape
from ..registry import load_spec, split_path
from ..sample import ActionSample
from ..spec import ExecSpec
from .certificate import Certificate, certify, text_of, whole_seconds
from .evidence import GIVEN
from .policy import Policy
from .wire import PAIR, CertificateError, VerifyCode

TOLERANCE = 2.0**-40
"""Relative difference up to which two computed numbers are one: what another machine's library may change. What was
published is compared exactly, by digest."""

NOT_COMPARED = ("issued", "expires", "tool", "schema_version")
"""Of the certificate itself, not of what it certifies."""
CAUSES = (r"^/controller|/key$", r"/sources/", r"/(?:digest|sha256)$")
"""Pointers of a difference that explains others: told first, and in this order."""
PLACES = ("name", "path")
"""Where a checkpoint lies, which may differ from machine to machine."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that is not as certified.

    Attributes:
        pointer: JSON pointer into the certificate.
        certified, found: its values; None for a field that is not there, or holds null.
    """

    pointer: str
    certified: Any
    found: Any

    @property
    def absolute(self) -> float | None:
        """|found - certified|, for numbers."""
        numbers = all(isinstance(x, int | float) and not isinstance(x, bool) for x in (self.certified, self.found))
        return abs(self.found - self.certified) if numbers else None

    @property
    def relative(self) -> float | None:
        """That over |certified|; None where this is zero."""
        return None if self.absolute is None or not self.certified else self.absolute / abs(self.certified)

    def to_dict(self) -> dict[str, Any]:
        names = ("pointer", "certified", "found", "absolute", "relative")
        return {name: getattr(self, name) for name in names}

    def __str__(self) -> str:
        by = "" if self.absolute is None else f", by {self.absolute:.3g}"
        share = "" if self.relative is None else f" ({100 * self.relative:.3g} %)"
        return f"{self.pointer}: certified {self.certified!r}, found {self.found!r}{by}{share}"


@dataclass(frozen=True, slots=True)
class Verification:
    """What verifying came to.

    Attributes:
        code: the outcome, and the exit code.
        message: one sentence.
        differences: every field that is not as certified, those that explain others first.
    """

    code: VerifyCode
    message: str
    differences: tuple[Difference, ...] = ()

    @property
    def ok(self) -> bool:
        return self.code == VerifyCode.OK

    def to_dict(self) -> dict[str, Any]:
        return {
            "code": int(self.code),
            "outcome": self.code.name.lower(),
            "message": self.message,
            "differences": [difference.to_dict() for difference in self.differences],
        }


def verify(
    certificate: Certificate | bytes | str | os.PathLike[str],
    *specs: ExecSpec | str,
    sample: ActionSample | npt.ArrayLike | None = None,
    controller: Controller | str | os.PathLike[str] | None = None,
    now: datetime | None = None,
) -> Verification:
    """Recompute a certificate and compare.

    Args:
        certificate: the certificate, its bytes, or the path of its file.
        specs: the intended spec and the executed one, or the siblings; as specs or as `PATH[#KEY][@PROFILE]`. For
            siblings the intended spec alone will do, if it was loaded from its files.
        sample: the recorded actions of a certificate over such, normalized.
        controller: what the specs are sent to, as in `certify`; None for the tool's own of the name that is certified,
            at the rate that is certified.
        now: the time to hold the dates against, with its zone; None for the clock.

    Returns:
        The first outcome that holds of: missing, edited or unreadable, other tool, missing specs, actions or
        controller, differs, expired, ok. Nothing wrong with the files is raised.
    """
    when = whole_seconds(now)
    try:
        issued = _read(certificate)
    except CertificateError as error:
        return Verification(error.code, str(error))
    except OSError as error:
        return Verification(VerifyCode.MISSING, str(error))
    contents = issued.contents
    try:
        loaded = [load_spec(spec) if isinstance(spec, str) else spec for spec in specs]
        robot = load_controller(controller) if isinstance(controller, str | os.PathLike) else controller
    except (OSError, ExecSpecError) as error:
        return Verification(VerifyCode.MISSING, f"{error}{_gone(contents, specs)}")
    version = str(contents["tool"]["version"])
    if version.split(".")[0] != _core.__version__.split(".")[0]:
        return Verification(
            VerifyCode.OTHER_TOOL,
            f"issued by version {version}, this is {_core.__version__}: verify with that one, or certify anew",
        )
    if problem := _incomplete(contents, loaded, sample, robot):
        return Verification(VerifyCode.MISSING, problem)
    try:
        found = _recompute(contents, loaded, sample, robot or _own(contents), when)
    except (OSError, ExecSpecError) as error:
        return Verification(VerifyCode.MISSING, str(error))
    differences = tuple(sorted(_compare(contents, found.contents), key=_rank))
    late = _dates(contents, text_of(when))
    if differences:
        several = f"{len(differences)} fields are" if len(differences) > 1 else "1 field is"
        words = f"{several} not as certified, first {differences[0].pointer}{late and f'; also {late}'}"
        return Verification(VerifyCode.DIFFERS, words, differences)
    if late:
        return Verification(VerifyCode.EXPIRED, f"{late}; all else is as certified")
    return Verification(VerifyCode.OK, f"as certified: {issued.verdict}")


def _read(certificate: Certificate | bytes | str | os.PathLike[str]) -> Certificate:
    if isinstance(certificate, Certificate):
        return Certificate.from_json(certificate.to_json())
    if isinstance(certificate, bytes):
        return Certificate.from_json(certificate)
    return Certificate.from_json(Path(certificate).read_bytes(), os.fspath(certificate))


def _incomplete(
    contents: Mapping[str, Any], specs: Sequence[ExecSpec], sample: Any, controller: Controller | None
) -> str:
    stated = contents.get("controller")
    if stated and stated["sha256"] and controller is None:
        place = f"{stated['source']}, sha256 {stated['sha256']}"
        return f"the certificate is for the controller {stated['name']} of a file ({place}): name that file"
    if controller is not None and not stated:
        return f"the certificate is on actions, whatever they are sent to: certify anew with {controller.name}"
    if contents["sample"]["kind"] == GIVEN and sample is None:
        stored = contents["sample"]
        return f"the certificate is over given actions ({stored['description']}, sha256 {stored['sha256']}): name them"
    if contents["against"] == PAIR and len(specs) != 2:
        return f"the certificate is on a pair: name the intended and the executed spec, not {len(specs)}"
    return "" if specs else "name the specs to verify, the intended one first"


def _gone(contents: Mapping[str, Any], specs: Sequence[ExecSpec | str]) -> str:
    """The certified files that lie in no checkpoint named; empty if none is missing, or a checkpoint itself is."""
    try:
        named = [Path(split_path(spec)[0]) for spec in specs if isinstance(spec, str)]
    except TargetNotFoundError:
        return ""
    folders = [path if path.is_dir() else path.parent for path in named]
    stated = [contents["intended"], *(each["executed"] for each in contents["comparisons"])]
    files = {source["file"] for spec in stated for source in spec["sources"].values()}
    gone = sorted(file for file in files if not any((folder / file).is_file() for folder in folders))
    return f"; certified, and not there: {', '.join(gone)}" if folders and gone else ""


def _own(contents: Mapping[str, Any]) -> Controller | None:
    """The certified controller, of the tool's own; a rate that its issuer gave is taken again, as limits are."""
    stated = contents.get("controller")
    if not stated:
        return None
    known = find_controller(stated["name"])
    rate = stated["rate"]
    return at_rate(known, rate["value"] if rate["why"] == RATE_GIVEN else None, RATE_GIVEN)


def _recompute(
    contents: Mapping[str, Any], specs: Sequence[ExecSpec], sample: Any, controller: Controller | None, when: datetime
) -> Certificate:
    limits = contents["limits"]
    pair = contents["against"] == PAIR
    return certify(
        specs[0],
        specs[1] if pair else None,
        sample if contents["sample"]["kind"] == GIVEN else None,
        policy=Policy.from_dict(contents["policy"]),
        siblings=None if pair or len(specs) == 1 else specs[1:],
        limits=limits and (limits["low"], limits["high"]),
        controller=controller,
        now=when,
    )


def _rank(difference: Difference) -> int:
    return next((n for n, cause in enumerate(CAUSES) if re.search(cause, difference.pointer)), len(CAUSES))


def _dates(contents: Mapping[str, Any], now: str) -> str:
    """Why a certificate is out of date; empty if it is not. Times in this form sort as text."""
    if now >= contents["expires"]:
        return f"expired at {contents['expires']}"
    return f"not valid before {contents['issued']}" if now < contents["issued"] else ""


def _compare(certified: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[Difference]:
    a, b = ({name: x for name, x in each.items() if name not in NOT_COMPARED} for each in (certified, found))
    yield from _differences("", a, b)


def _differences(pointer: str, certified: Any, found: Any) -> Iterator[Difference]:
    if isinstance(certified, Mapping) and isinstance(found, Mapping):
        spec = "digest" in certified and "path" in certified
        for name in sorted({*certified, *found}):
            if not (spec and name in PLACES):
                yield from _differences(f"{pointer}/{escape(name)}", certified.get(name), found.get(name))
    elif isinstance(certified, list) and isinstance(found, list) and len(certified) == len(found):
        for n, (a, b) in enumerate(zip(certified, found, strict=True)):
            yield from _differences(f"{pointer}/{n}", a, b)
    elif not _equal(certified, found):
        yield Difference(pointer, _brief(certified), _brief(found))


def _brief(value: Any) -> Any:
    """Files, comparisons, conventions and controllers by their names."""
    if isinstance(value, list):
        return [_brief(each) for each in value]
    if not isinstance(value, Mapping):
        return value
    if {"file", "pointer"} <= value.keys():
        return value["file"]
    return value["executed"]["key"] if "executed" in value else value.get("code", value.get("name", {**value}))


def _equal(certified: Any, found: Any) -> bool:
    if isinstance(certified, float) and isinstance(found, float):
        return math.isclose(certified, found, rel_tol=TOLERANCE, abs_tol=0.0)
    return type(certified) is type(found) and bool(certified == found)
