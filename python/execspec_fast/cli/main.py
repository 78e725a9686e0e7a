"""The command line. stdout is data, stderr is progress and errors; exit codes are `audit.ExitCode`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..auditing.audit import audit, load_controller
from ..auditing.outcome import SCHEMA_VERSION, ExitCode
from ..errors import SEVERITIES, ExecSpecError
from .paper import Paper, escape

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

DESCRIPTION = "What will this checkpoint, with this key, make the robot do?"

AUDIT = """examples:
  execspec audit checkpoints/                           every checkpoint below a folder
  execspec audit checkpoints/ --actions demos.npz       drift over recorded actions
  execspec audit . --controller osc_pose.json --rate 20   drift in millimetres and degrees per second
  execspec audit . --format json --output report.json   for programs
exit codes: 0 clean, 1 findings, 2 usage or internal error, 3 something unreadable, 5 nothing to audit"""

SHOW = """examples:
  execspec show checkpoints/openvla-7b#bridge_orig
  execspec show checkpoints/openvla-7b#bridge_orig@openvla-oft   as another un-normalizer would run it"""

DRIFT = """examples:
  execspec drift ckpt#libero_goal ckpt#libero_object             the second executed where the first was meant
  execspec drift ckpt#libero_goal other#libero_goal --actions demos.hdf5 --controller osc_pose.json"""

FILES = """example:
  hf download ORG/MODEL --include $(execspec files)              metadata only, no weights"""


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

    parser = argparse.ArgumentParser("execspec", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"execspec {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, run: Any, purpose: str, examples: str) -> ArgumentParser:
        made: ArgumentParser = commands.add_parser(
            name,
            help=purpose,
            description=purpose,
            epilog=examples,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        made.set_defaults(run=run)
        made.add_argument("--output", metavar="FILE", help="write there instead of to stdout")
        made.add_argument("--debug", action="store_true", help="show where an internal error happened")
        return made

    def measured(made: ArgumentParser) -> None:
        made.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
        made.add_argument(
            "--actions", metavar="FILE", help="physical actions: npy, npz, parquet, hdf5, csv; FILE::GROUP"
        )
        made.add_argument("--controller", metavar="FILE", help="robosuite controller JSON: drift in mm and degrees")
        made.add_argument("--rate", type=_positive, metavar="HZ", help="actions per second, for drift per second")

    one = command("audit", _audit, "audit every checkpoint below a path", AUDIT)
    one.add_argument("path", nargs="?", default=".", help="checkpoint, folder, Hugging Face cache or file (default: .)")
    measured(one)
    one.add_argument("--config", metavar="FILE", help="deployments (default: execspec.toml, pyproject.toml)")
    one.add_argument("--fail-on", choices=(*SEVERITIES, "never"), default="error", help="default: error")
    one.add_argument(
        "-j", "--jobs", type=_count, default=len(os.sched_getaffinity(0)), help="processes (default: CPUs)"
    )
    one.add_argument("--no-cache", action="store_true", help="neither use nor keep results")
    one.add_argument("--all", action="store_true", help="print every row and target")
    one.add_argument("--quiet", action="store_true", help="print the verdict only, no progress")

    one = command("show", _show, "show one specification", SHOW)
    one.add_argument("spec", metavar="PATH[#KEY][@PROFILE]")
    one.add_argument("--format", choices=("text", "json"), default="text", help="default: text")

    one = command("drift", _drift, "measure what executing B does where A was meant", DRIFT)
    one.add_argument("intended", metavar="A", help="PATH[#KEY][@PROFILE] that was meant")
    one.add_argument("executed", metavar="B", help="PATH[#KEY][@PROFILE] that is executed")
    measured(one)
    one.add_argument("--normalized", action="store_true", help="the actions of --actions are normalized")
    one.add_argument(
        "--sample",
        choices=("stats", "uniform", "gaussian"),
        default="stats",
        help="without --actions: A's published quantiles (default), uniform on [-1, 1], or A's mean and std",
    )

    command("files", _files, "print the globs of all metadata files that are read", FILES)
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
    from ..registry import load_spec
    from .describe import spec_text
    from .report import as_json

    spec = load_spec(options.spec)
    plain = {"schema_version": SCHEMA_VERSION, "spec": spec.to_dict()}
    _write(options, as_json(plain) if options.format == "json" else spec_text(spec, _paper(options)))
    return ExitCode.OK


def _drift(options: Namespace) -> ExitCode:
    from ..actions import load_actions
    from ..auditing.question import Question
    from ..drift import drift
    from ..registry import load_spec
    from ..sample import ActionSample
    from .describe import drift_text
    from .report import as_json

    intended, executed = load_spec(options.intended), load_spec(options.executed)
    if options.actions:
        actions = load_actions(options.actions)
        if options.normalized:
            sample = ActionSample(actions.values, actions.description)
        else:
            sample = ActionSample.from_physical(actions.values, intended, actions.description)
    elif options.sample == "uniform":
        sample = ActionSample.uniform(intended.dim)
    else:
        sample = ActionSample.gaussian(intended) if options.sample == "gaussian" else ActionSample.from_stats(intended)
    found = drift(intended, executed, sample)
    controller = load_controller(options.controller) if options.controller else None
    units = Question(controller=controller, rate=options.rate).units(intended)
    if options.format == "json":
        names = ("mean_abs", "bias", "rms", "max", "worst_case")
        figures = {name: getattr(found, name).tolist() for name in names}
        figures |= {name: getattr(found, name) for name in ("channels_used", "mean", "mean_l2", "mean_l2_interval")}
        figures |= {name: getattr(found, name) for name in ("sample", "assumes", "reason")}
        read = units.read(found.mean_abs, found.channels_used)
        specs = {"intended": intended.to_dict(), "executed": executed.to_dict()}
        _write(options, as_json({"schema_version": SCHEMA_VERSION, **specs, "drift": figures, "read": read}))
    else:
        _write(options, drift_text(intended, executed, found, units, _paper(options)))
    return ExitCode.OK


def _files(options: Namespace) -> ExitCode:
    from ..formats import METADATA

    _write(options, "".join(f"{glob}\n" for glob in METADATA))
    return ExitCode.OK
