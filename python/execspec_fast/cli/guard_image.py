"""`execspec guard build` and `execspec guard show`: a certificate as a guard image, and an image in words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..auditing.outcome import SCHEMA_VERSION
from ..certificates.certificate import Certificate, siblings_of
from ..certificates.verification import Verification
from ..certificates.wire import PAIR, CertificateError, VerifyCode
from ..controllers import find_controller
from ..errors import ExecSpecError
from ..guarding.build import Options
from ..guarding.guard import Guard
from ..guarding.layout import read
from ..guarding.limits import Sources
from ..ops import describe
from ..registry import load_spec
from .certify import robot_of, verified
from .describe import lines
from .limits_file import load_limits
from .paper import escape
from .report import as_json

if TYPE_CHECKING:
    from argparse import Namespace


def guard_of(options: Namespace) -> Guard | Verification:
    """The guard of a certificate that still holds, else what does not.

    Raises:
        ExecSpecError: limits that no guard can be built with.
    """
    place = Path(options.certificate)
    if not place.is_file():
        return Verification(VerifyCode.MISSING, f"{place}: no such file")
    try:
        certificate = Certificate.from_json(place.read_bytes(), str(place))
    except CertificateError as error:
        return Verification(error.code, str(error))
    contents = certificate.contents
    moved = "" if options.specs else "; if a checkpoint has moved, name it with --spec"
    if not options.specs:
        pair = [each["executed"]["name"] for each in contents["comparisons"]] if contents["against"] == PAIR else []
        options.specs = [contents["intended"]["name"], *pair]
    found = verified(options)
    if found.code == VerifyCode.MISSING:
        return replace(found, message=found.message + moved)
    if not found.ok:
        return found
    spec, stated = load_spec(options.specs[0]), contents.get("controller")
    added: Options = load_limits(options.limits) if options.limits else {}
    if contents["limits"] and "limits" in added:
        raise ExecSpecError(f"{place} certifies limits of its own: leave low and high out of {options.limits}")
    if contents["limits"]:
        added["limits"] = contents["limits"]["low"], contents["limits"]["high"]
    numbers = f"{options.limits} [gate]"
    sources = Sources(
        built=f"{place.name} (digest {certificate.digest})",
        domain=f"{place.name}#/intended/domain",
        controller=f"{place.name}#/controller/input_min, input_max",
        limits=f"{place.name}#/limits" if contents["limits"] else numbers,
        numbers=numbers,
    )
    given: Options = {
        **added,
        "stage": options.stage,
        "controller": stated and (robot_of(options) or find_controller(stated["name"])),
        "siblings": siblings_of(spec) if options.siblings else (),
        "mode": options.mode,
        "sources": sources,
    }
    return Guard(spec, **given)


def image_text(options: Namespace) -> str:
    """Everything in an image, in words or as JSON."""
    data = Path(options.image).read_bytes()
    image, guard = read(data, options.image), Guard.from_image(data)
    if options.format == "json":
        return as_json({"schema_version": SCHEMA_VERSION, "guard": image.to_dict()})
    names = [f"{channel.name}{f'@{t}' * (image.steps > 1)}" for t in range(image.steps) for channel in image.channels]
    ops: list[tuple[str, ...]] = [("channel", "ops from u"), *zip(map(escape, names), describe(image.ops), strict=True)]
    keys: list[tuple[str, ...]] = [("key", "digest"), *((escape(one.name), one.digest) for one in image.candidates)]
    told = [escape(line) for line in guard.banner().splitlines()]
    return "\n".join([*told, "", *lines(ops), "", *lines(keys), ""])
