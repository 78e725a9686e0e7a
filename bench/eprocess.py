"""What executed actions alone give away: `python bench/eprocess.py` (a minute; recorded actions in `../shared`).

Five folds per recording: four fifths of the episodes calibrate, the last fifth is watched, as it is and as a wrong key
would have executed it: `a' = U_wrong(U_declared^-1(a))`, again and again until the alarm, 60 episodes at most. "Naive"
bets at every step that some channel leaves |u| <= 1, at the rate of the calibration, as if steps were independent; it
watches the correct episodes once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import execspec_fast as es
import numpy as np
import numpy.typing as npt
from execspec_fast.guarding.eprocess import ALPHA
from execspec_fast.sample import ExactInverse
from workload import SHARED

Episodes = Sequence[npt.NDArray[Any]]

EXAMPLES = Path(__file__).resolve().parents[1] / "examples" / "registry" / "openvla-libero"
REGISTRY = SHARED.parent / "registry"
LIBERO = ("libero_spatial", "libero_object", "libero_goal", "libero_10")
FOLDS = 5
PATIENCE = 60
STRETCH = 100
NAIVE_STAKE = 0.1
RUNS = 200
RHO, STD = 0.99, 0.43  # of the made-up actions: |u| > 1 in 2 % of steps of a channel


@dataclass(frozen=True)
class Recording:
    name: str
    declared: str
    episodes: Episodes
    wrong: dict[str, es.ExecSpec]
    block: int = 50


def example(key: str) -> es.ExecSpec:
    return es.load_spec(f"{EXAMPLES}#{key}")


def recordings() -> list[Recording]:
    found = []
    for key in LIBERO:
        episodes = es.load_actions(SHARED / f"libero/scripted/{key}.npz").episodes
        found.append(Recording("scripted LIBERO", key, episodes, {one: example(one) for one in LIBERO if one != key}))
    near = es.load_spec(f"{REGISTRY}/nora/nora-norm-stats#libero_goal")
    found.append(Recording("scripted LIBERO", "libero_goal", found[2].episodes, {"libero_goal of NORA": near}))

    bridge = np.load(SHARED / "bridge/octo-debug_dataset/bridge_train_actions_states.npz")
    episodes = np.split(bridge["actions"], np.cumsum(bridge["episode_lengths"])[:-1])
    wrong = {key: example(key) for key in ("fractal20220817_data", "libero_goal")}
    wrong["bridge_orig of NORA"] = es.load_spec(f"{REGISTRY}/nora/nora-norm-stats#bridge_orig")
    found.append(Recording("real WidowX", "bridge_orig", episodes, wrong, block=10))

    human = sorted(SHARED.glob("robosuite/panda-osc_pose-spacemouse/*/demo.hdf5"))
    demos = [es.load_actions(file).values for file in human]
    stretches = [a[k : k + STRETCH] for a in demos for k in range(0, len(a) - STRETCH + 1, STRETCH)]
    wrong = {key: example(key) for key in LIBERO if key != "libero_goal"}
    found.append(Recording("human SpaceMouse", "libero_goal", stretches, wrong))
    return found


def watch(monitor: es.ActionMonitor, episodes: Episodes) -> int | None:
    """How many episodes it took to the alarm."""
    for n, episode in enumerate(episodes, 1):
        if any(monitor.step(a) for a in episode) or monitor.end_episode():
            return n
    return None


def again(episodes: Episodes) -> Episodes:
    return [episodes[n % len(episodes)] for n in range(PATIENCE)]


def naive(inside: Episodes, watched: Episodes) -> bool:
    """Whether a bet at every step, as if they were independent, raises an alarm; both are normalized."""
    p0 = max(np.mean(np.abs(np.concatenate(inside)).max(axis=1) > 1), 1e-3)
    leaves = np.abs(np.concatenate(watched)).max(axis=1) > 1
    return bool(np.log1p(NAIVE_STAKE * (leaves / p0 - 1)).cumsum().max() >= -math.log(ALPHA))


def folds(episodes: Episodes) -> list[tuple[Episodes, Episodes]]:
    return [([e for n, e in enumerate(episodes) if n % FOLDS != k], episodes[k::FOLDS]) for k in range(FOLDS)]


def measured(one: Recording) -> list[tuple[str, ...]]:
    spec = example(one.declared)
    inverse = ExactInverse(spec)
    parts = [(es.calibrate(spec, known, block=one.block), known, held) for known, held in folds(one.episodes)]
    alarms = sum(watch(es.ActionMonitor(spec, made), again(held)) is not None for made, _, held in parts)
    rash = sum(naive([inverse(e) for e in known], [inverse(e) for e in held]) for _, known, held in parts)
    told = f"{alarms} of {FOLDS}", f"{rash} of {FOLDS}"
    rows = []
    for name, executed in one.wrong.items():
        waits, steps = [], []
        for made, _, held in parts:
            monitor = es.ActionMonitor(spec, made)
            changed = [executed.unnormalize(inverse(episode)) for episode in held]
            waits.append(watch(monitor, again(changed)))
            steps.append(monitor.steps)
        seen = sum(wait is not None for wait in waits)
        slowest = max(wait or PATIENCE for wait in waits)
        delays = f"{median(wait or PATIENCE for wait in waits):g}", f"{slowest}", f"{median(steps):,g}"
        head = one.name, f"{len(one.episodes)}", f"{parts[0][0].p0:.2f}", one.declared, *told, name
        rows.append((*head, f"{seen} of {FOLDS}", *(delays if seen == FOLDS else ("-", "-", "-"))))
    return rows


def autoregressive(rng: np.random.Generator, episodes: int, steps: int = 200) -> Episodes:
    """Normalized actions whose neighbours correlate by `RHO`, each episode from its stationary law on."""
    u = rng.normal(0.0, STD, (episodes, steps, 7))
    for t in range(1, steps):
        u[:, t] = RHO * u[:, t - 1] + math.sqrt(1 - RHO**2) * u[:, t]
    return list(u)


def false_alarms(runs: int) -> tuple[int, int]:
    """Of ours and of the naive one, over runs of 20 correct episodes, each after a calibration on 20 others."""
    spec, rng = example("libero_goal"), np.random.default_rng(0)
    ours = rash = 0
    for _ in range(runs):
        known, watched = autoregressive(rng, 20), autoregressive(rng, 20)
        monitor = es.ActionMonitor(spec, es.calibrate(spec, [spec.unnormalize(u) for u in known]))
        ours += watch(monitor, [spec.unnormalize(u) for u in watched]) is not None
        rash += naive(known, watched)
    return ours, rash


TITLES = (
    *("actions", "episodes", "p0", "declared", "false alarms", "naive", "executed", "alarms"),
    *("after episodes, median", "at most", "steps, median"),
)

if __name__ == "__main__":
    print(f"| {' | '.join(TITLES)} |\n|{'---|' * len(TITLES)}")
    for one in recordings():
        for row in measured(one):
            print(f"| {' | '.join(row)} |")
    ours, rash = false_alarms(RUNS)
    print(
        f"\nAR(1), rho {RHO:g}, {RUNS} runs of 20 correct episodes: false alarms {ours}, naive {rash} (alpha {ALPHA:g})"
    )
