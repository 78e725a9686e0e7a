"""`execspec certify` and `execspec verify`."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ..certificates.certificate import Certificate, certify
from ..certificates.policy import Policy
from ..certificates.verification import Verification, verify
from ..certificates.wire import VerifyCode
from ..controller import Controller
from ..errors import ExecSpecError, FormatError, UnknownControllerError, UnknownKeyError
from ..registry import load_spec
from .inputs import chosen_controller, given_actions, named_controller
from .paper import escape
from .report import as_json

if TYPE_CHECKING:
    from argparse import Namespace


SHOWN = 20
"""Differences printed before the rest is counted."""


def certificate(options: Namespace) -> bytes:
    """The certificate of a pair, or of a spec against its plausible siblings, as the chosen format has it."""
    intended = load_spec(options.intended)
    made = certify(
        intended,
        load_spec(options.executed) if options.executed else None,
        given_actions(options, intended),
        policy=Policy(eps_equivalent=options.eps),
        controller=chosen_controller(options, intended),
        valid_days=options.valid_days,
    )
    return made.to_markdown().encode() if options.format == "markdown" else made.to_json()


def verification(options: Namespace) -> tuple[str, VerifyCode]:
    """What recomputing a certificate finds, in words, and the exit code of that outcome."""
    if options.actions and not options.specs:
        raise ExecSpecError("--actions needs the specification they are executed with; name it after the certificate")
    found = verified(options)
    return as_json(found.to_dict()) if options.format == "json" else _words(found), found.code


def verified(options: Namespace) -> Verification:
    """What recomputing the certificate of the options finds, with the specs and actions that they name."""
    place = Path(options.certificate)
    if not place.is_file():
        return Verification(VerifyCode.MISSING, f"{place}: no such file; nothing was verified")
    try:
        sample = given_actions(options, load_spec(options.specs[0])) if options.actions else None
        controller = robot_of(options)
    except (OSError, FormatError, UnknownKeyError, UnknownControllerError) as error:
        return Verification(VerifyCode.MISSING, str(error))
    return verify(place, *options.specs, sample=sample, controller=controller, now=datetime.now(UTC))


def robot_of(options: Namespace) -> Controller | None:
    """The controller named or, for a certificate on one, that of the deployment, which may not be as certified."""
    with suppress(ExecSpecError):
        stated = Certificate.from_json(Path(options.certificate).read_bytes())
        if stated.contents.get("controller") and options.specs:
            return chosen_controller(options, load_spec(options.specs[0]))
    return named_controller(options)


def _words(found: Verification) -> str:
    lines = [f"{found.code.name}: {found.message}", *(f"  {difference}" for difference in found.differences[:SHOWN])]
    if len(found.differences) > SHOWN:
        lines.append(f"  and {len(found.differences) - SHOWN} more; --format json lists all")
    return "".join(f"{escape(line)}\n" for line in lines)
