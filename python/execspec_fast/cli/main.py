"""The command line. stdout is data, stderr is progress and errors; exit codes are `audit.ExitCode`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..auditing.audit import audit
from ..auditing.outcome import SCHEMA_VERSION, ExitCode
from ..errors import SEVERITIES, ExecSpecError
from .paper import Paper, escape

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

DESCRIPTION = "What will this checkpoint, with this key, make the robot do?"

AUDIT = """examples:
  execspec audit checkpoints/                           every checkpoint below a folder
  execspec audit checkpoints/ --actions demos.npz       drift over recorded actions
  execspec audit . --controller libero                  drift in millimetres and degrees, saturation, motion
  execspec audit . --format json --output report.json   for programs
exit codes: 0 clean, 1 findings, 2 usage or internal error, 3 something unreadable, 5 nothing to audit"""

SHOW = """examples:
  execspec show checkpoints/openvla-7b#bridge_orig
  execspec show checkpoints/openvla-7b#bridge_orig@openvla-oft   as another un-normalizer would run it"""

DRIFT = """examples:
  execspec drift ckpt#libero_goal ckpt#libero_object             the second executed where the first was meant
  execspec drift ckpt#libero_goal other#libero_goal --actions demos.hdf5 --controller osc_pose.json"""

CERTIFY = """examples:
  execspec certify ckpt#libero_goal --output goal.cert.json      against its plausible siblings
  execspec certify ckpt#libero_goal --controller libero          on that controller; else that of its deployment
  execspec certify ckpt#a other#a --format markdown              a pair, for a model card"""

VERIFY = """example:
  execspec verify goal.cert.json ckpt#libero_goal
exit codes: 0 matches, 1 differs, 2 usage, 3 a file (certificate, specification, actions, controller) missing,
4 expired, 6 made by another major version, 7 bytes were edited, 8 unreadable or of a newer schema"""

FILES = """example:
  execspec files --format hf | xargs hf download ORG/MODEL       metadata only, no weights"""

GUARD = "Make, before a policy runs, what watches it while it does."

BUILD = """examples:
  execspec guard build goal.cert.json -o goal.img     verifies it first, against the files that it names
  execspec guard build goal.cert.json --spec ckpt#libero_goal -o goal.img      where these have moved
  execspec guard build goal.cert.json --mode enforce --limits limits.toml --siblings -o goal.img
limits.toml: [gate] low, high, margin, jump, walk, max_age, relative, latch, ulps, dtype;
             [watch] names, unit, position, velocity, acceleration, jerk, order, max_age, max_dt, stops
exit codes: those of `execspec verify`; 2 also for limits that no guard can be built with"""

SHOW_IMAGE = """example:
  execspec guard show goal.img                                        mode, limits with sources, ops, keys, watch"""

CALIBRATE = """examples:
  execspec guard calibrate ckpt#libero_goal --actions demos.hdf5 -o goal.cal.json     every episode is correct
  execspec guard calibrate ckpt#bridge_orig --actions run*.npz --block 10 -o cal.json   one episode per file"""

ACTIONS = "physical actions: npy, npz, parquet, hdf5, csv; FILE::GROUP"
NORMALIZED = "the actions of --actions are normalized"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `execspec`; returns its exit code."""
    options = _parser().parse_args(arguments)
    try:
        code = int(options.run(options))
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader went away; what is still buffered must not raise again at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.ERROR
    except KeyboardInterrupt:
        return 130
    except ExecSpecError as error:
        _complain(str(error))
    except OSError as error:
        _complain(f"{error.filename or ''}: {error.strerror or error}".lstrip(": "))
    except Exception as error:
        if options.debug:
            raise
        _complain(f"internal error: {type(error).__name__}: {error}; --debug shows where")
    return ExitCode.ERROR


def _complain(message: str) -> None:
    sys.stderr.write(f"execspec: {escape(message)}\n")


def _parser() -> ArgumentParser:
    import argparse

    from .. import __version__
    from ..guarding.status import Mode
    from ..guarding.subject import STAGES

    modes = tuple(mode.name.lower() for mode in Mode)

    parser = argparse.ArgumentParser("execspec", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"execspec {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, run: Any, purpose: str, examples: str, among: Any = commands) -> ArgumentParser:
        made: ArgumentParser = among.add_parser(
            name,
            help=purpose,
            description=purpose,
            epilog=examples,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        made.set_defaults(run=run)
        if among is commands:
            made.add_argument("-o", "--output", metavar="FILE", help="write there instead of to stdout")
        made.add_argument("--debug", action="store_true", help="show where an internal error happened")
        return made

    def measured(made: ArgumentParser) -> None:
        made.add_argument("--actions", metavar="FILE", help=ACTIONS)
        made.add_argument("--controller", metavar="FILE|NAME", help="what actions are sent to (default: as deployed)")
        made.add_argument("--rate", type=_positive, metavar="HZ", help="actions per second, of the controller")
        made.add_argument("--config", metavar="FILE", help="deployments (default: execspec.toml, pyproject.toml)")

    def formatted(made: ArgumentParser, *formats: str) -> None:
        made.add_argument("--format", choices=formats, default=formats[0], help=f"default: {formats[0]}")

    one = command("audit", _audit, "audit every checkpoint below a path", AUDIT)
    one.add_argument("path", nargs="?", default=".", help="checkpoint, folder, Hugging Face cache or file (default: .)")
    measured(one)
    formatted(one, "text", "json")
    one.add_argument("--fail-on", choices=(*SEVERITIES, "never"), default="error", help="default: error")
    one.add_argument(
        "-j", "--jobs", type=_count, default=len(os.sched_getaffinity(0)), help="processes (default: CPUs)"
    )
    one.add_argument("--no-cache", action="store_true", help="neither use nor keep results")
    one.add_argument("--all", action="store_true", help="print every row and target")
    one.add_argument("--quiet", action="store_true", help="print the verdict only, no progress")

    one = command("show", _show, "show one specification", SHOW)
    one.add_argument("spec", metavar="PATH[#KEY][@PROFILE]")
    formatted(one, "text", "json")

    one = command("drift", _drift, "measure what executing B does where A was meant", DRIFT)
    one.add_argument("intended", metavar="A", help="PATH[#KEY][@PROFILE] that was meant")
    one.add_argument("executed", metavar="B", help="PATH[#KEY][@PROFILE] that is executed")
    measured(one)
    one.add_argument("--normalized", action="store_true", help=NORMALIZED)
    formatted(one, "text", "json")
    one.add_argument(
        "--sample",
        choices=("stats", "uniform", "gaussian"),
        default="stats",
        help="without --actions: A's published quantiles (default), uniform on [-1, 1], or A's mean and std",
    )

    one = command(
        "certify", _certify, "certify what executing B, or any plausible sibling, does where A was meant", CERTIFY
    )
    one.add_argument("intended", metavar="A", help="PATH[#KEY][@PROFILE] that is meant")
    one.add_argument("executed", metavar="B", nargs="?", help="the other one (default: the plausible siblings of A)")
    measured(one)
    one.add_argument("--normalized", action="store_true", help=NORMALIZED)
    formatted(one, "json", "markdown")
    one.add_argument(
        "--eps", type=_positive, default=1e-5, help="largest difference that is equivalent (default: 1e-05)"
    )
    one.add_argument("--valid-days", type=_positive, default=180, metavar="DAYS", help="default: 180")

    one = command("verify", _verify, "recompute a certificate and say what differs", VERIFY)
    one.add_argument("certificate", metavar="CERTIFICATE")
    one.add_argument("specs", metavar="PATH[#KEY][@PROFILE]", nargs="*", help="A, and B of a certificate for a pair")
    measured(one)
    one.add_argument("--normalized", action="store_true", help=NORMALIZED)
    formatted(one, "text", "json")

    guard = commands.add_parser("guard", help="make what guards a running policy", description=GUARD)
    guards = guard.add_subparsers(title="commands", metavar="COMMAND", required=True)
    one = command("build", _guard_build, "make a guard image of a certificate that still holds", BUILD, guards)
    one.add_argument("certificate", metavar="CERTIFICATE")
    one.add_argument(
        "--spec",
        dest="specs",
        metavar="PATH[#KEY][@PROFILE]",
        action="append",
        default=[],
        help="where it lies now; B of a pair with a second --spec (default: as the certificate names them)",
    )
    one.add_argument("-o", "--output", metavar="FILE", required=True, help="the image")
    one.add_argument(
        "--stage", choices=STAGES, default=STAGES[0], help=f"where actions are taken (default: {STAGES[0]})"
    )
    one.add_argument("--mode", choices=modes, default=modes[0], help=f"what faults do (default: {modes[0]})")
    one.add_argument("--limits", metavar="FILE", help="further limits, of the gate and of a watch (TOML)")
    one.add_argument("--siblings", action="store_true", help="tell the plausible siblings apart too")
    measured(one)
    one.add_argument("--normalized", action="store_true", help=NORMALIZED)
    one = command("show", _guard_show, "show what a guard image checks", SHOW_IMAGE, guards)
    one.add_argument("image", metavar="IMAGE")
    one.add_argument("-o", "--output", metavar="FILE", help="write there instead of to stdout")
    formatted(one, "text", "json")
    one = command("calibrate", _guard_calibrate, "learn what correct episodes look like", CALIBRATE, guards)
    one.add_argument("spec", metavar="PATH[#KEY][@PROFILE]", help="the specification that executed them")
    one.add_argument("--actions", metavar="FILE", nargs="+", required=True, help=f"of correct episodes; {ACTIONS}")
    one.add_argument("--block", type=_count, default=50, metavar="STEPS", help="steps judged at once (default: 50)")
    one.add_argument("--confidence", type=_positive, default=0.95, help="in what is learned (default: 0.95)")
    one.add_argument("-o", "--output", metavar="FILE", required=True, help="the calibration")

    one = command("files", _files, "print the globs of all metadata files that are read", FILES)
    one.add_argument(
        "--format", choices=("text", "hf"), default="text", help="one glob a line (default), or as options of `hf`"
    )
    return parser


def _positive(text: str) -> float:
    from argparse import ArgumentTypeError

    with suppress(ValueError):
        if 0 < float(text) < float("inf"):
            return float(text)
    raise ArgumentTypeError(f"must be a positive number, got {text!r}")


def _count(text: str) -> int:
    from argparse import ArgumentTypeError

    with suppress(ValueError):
        if int(text) > 0:
            return int(text)
    raise ArgumentTypeError(f"must be a positive whole number, got {text!r}")


def _write(options: Namespace, text: str) -> None:
    if options.output is None:
        sys.stdout.write(text)
        return
    Path(options.output).write_text(text, encoding="utf-8")


def _paper(options: Namespace) -> Paper:
    return Paper.of(sys.stdout) if options.output is None else Paper()


def _audit(options: Namespace) -> ExitCode:
    from .report import as_json, as_text, verdict

    report = audit(
        options.path,
        options.actions,
        config=options.config,
        controller=options.controller,
        rate=options.rate,
        jobs=options.jobs,
        cache=not options.no_cache,
        fail_on=options.fail_on,
        progress=Progress() if sys.stderr.isatty() and not options.quiet else None,
    )
    paper = _paper(options)
    if options.format == "json":
        _write(options, as_json(report.to_dict()))
    elif options.quiet:
        _write(options, verdict(report, paper) + "\n")
    else:
        _write(options, as_text(report, paper, everything=options.all))
    return report.exit_code


class Progress:
    """A bar on stderr, from the first second on, that leaves no trace."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        if done == total:
            sys.stderr.write("\r\x1b[K")
        elif time.monotonic() - self._start > 1:
            filled = 30 * done // total
            sys.stderr.write(f"\r\x1b[K[{'#' * filled}{'.' * (30 - filled)}] {done:,} of {total:,} folders")
        sys.stderr.flush()


def _show(options: Namespace) -> ExitCode:
    from ..auditing.candidates import candidates
    from ..auditing.question import Question
    from ..registry import load_spec
    from .describe import spec_text
    from .report import as_json

    spec = load_spec(options.spec)
    others = list(candidates(spec, Question().sample(spec)))
    plain = {"schema_version": SCHEMA_VERSION, "spec": spec.to_dict(), "candidates": [one.to_dict() for one in others]}
    _write(options, as_json(plain) if options.format == "json" else spec_text(spec, others, _paper(options)))
    return ExitCode.OK


def _drift(options: Namespace) -> ExitCode:
    from .pair import drift_of

    _write(options, drift_of(options, _paper(options)))
    return ExitCode.OK


def _certify(options: Namespace) -> ExitCode:
    from .certify import certificate

    _write(options, certificate(options).decode())
    return ExitCode.OK


def _verify(options: Namespace) -> int:
    from .certify import verification

    words, code = verification(options)
    _write(options, words)
    return int(code)


def _guard_build(options: Namespace) -> int:
    from ..guarding.guard import Guard
    from .guard_image import guard_of

    found = guard_of(options)
    if not isinstance(found, Guard):
        _complain(f"{found.message}; nothing was built")
        return int(found.code)
    Path(options.output).write_bytes(found.image)
    sys.stdout.write("".join(f"{escape(line)}\n" for line in found.banner().splitlines()))
    return ExitCode.OK


def _guard_show(options: Namespace) -> ExitCode:
    from .guard_image import image_text

    _write(options, image_text(options))
    return ExitCode.OK


def _guard_calibrate(options: Namespace) -> ExitCode:
    from .calibrate import calibration

    made, told = calibration(options)
    Path(options.output).write_bytes(made)
    sys.stdout.write(told)
    return ExitCode.OK


def _files(options: Namespace) -> ExitCode:
    from ..formats import METADATA

    option = "--include " if options.format == "hf" else ""
    _write(options, "".join(f"{option}{glob}\n" for glob in METADATA))
    return ExitCode.OK
