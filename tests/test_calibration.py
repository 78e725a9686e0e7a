"""Limits from correct episodes: their values, how seldom they are passed, and the file they are kept in."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from execspec_fast.actions import load_actions
from execspec_fast.conventions import Conventions, declared
from execspec_fast.errors import DTypeError, FormatError, ShapeMismatchError, StatsError
from execspec_fast.guarding.calibration import (
    LARGEST_P0,
    ROOM,
    Calibration,
    calibrate,
    deciles,
    episodes_needed,
)
from execspec_fast.registry import load_spec
from execspec_fast.spec import ExecSpec
from execspec_fast.stats import NormStats
from robots import spec
from scipy.stats import beta

TWICE = spec(2.0)


def normalized(count: int) -> list[np.ndarray]:
    """Episodes of 25 to 31 steps."""
    rng = np.random.default_rng(0)
    return [rng.uniform(-1, 1, (25 + n % 7, 7)) for n in range(count)]


def episodes(count: int) -> list[np.ndarray]:
    return [TWICE.unnormalize(u) for u in normalized(count)]


@pytest.fixture(scope="module")
def made() -> Calibration:
    return calibrate(TWICE, episodes(12), block=10, sources=("a.npz", "b.npz"))


def constant_spec(low: list[float], high: list[float]) -> ExecSpec:
    stats = NormStats({"q01": np.array(low), "q99": np.array(high)})
    return ExecSpec("a", "k", "openvla", declared("openvla", "here"), stats, Conventions())


@pytest.mark.parametrize(("steps", "low", "high"), [(10, 1, 8), (19, 1, 17), (20, 2, 17), (50, 5, 44)])
def test_deciles_are_steps_of_the_block(steps, low, high):
    u = np.random.default_rng(1).permutation(steps)[:, None] * np.array([1.0, -1.0])
    assert deciles(u).tolist() == [[low, -high], [high, -low]]


def test_limits_are_the_least_and_the_largest_figure_of_any_block(made):
    blocks = [u[k : k + 10] for u in normalized(12) for k in (0, 10, 20) if k + 10 <= len(u)]
    figures = np.array([np.sort(u, axis=0)[[1, 8]] for u in blocks])
    least, largest = made.bounds()
    assert least == pytest.approx(figures.min(axis=0) - ROOM, abs=1e-6)
    assert largest == pytest.approx(figures.max(axis=0) + ROOM, abs=1e-6)
    assert (least < figures.min(axis=0)).all()
    assert (made.most_blocks, made.episodes, made.steps) == (3, 12, sum(map(len, episodes(12))))
    assert made.limits[6].name == TWICE.channels[6]
    assert (made.spec, made.digest, made.sources) == (TWICE.name, TWICE.digest, ("a.npz", "b.npz"))


def test_p0_is_the_bound_of_clopper_and_pearson_shared_by_all_limits(made):
    for confidence in (0.5, 0.95, 0.999):
        one = replace(made, confidence=confidence, episodes=40)
        assert one.p0 == pytest.approx(beta.ppf(1 - (1 - confidence) / 28, 1, 40), rel=1e-12)


def test_the_chance_of_passing_a_limit_is_below_p0_as_often_as_claimed():
    """The chance itself is known where figures are uniform: it is what lies above the largest of n."""
    made = calibrate(TWICE, episodes(14), block=10, confidence=0.8)
    largest = np.random.default_rng(0).random((4000, 14, made.count)).max(axis=1)
    kept = ((1 - largest) <= made.p0).all(axis=1).mean()
    assert 0.8 <= kept <= 0.86


@pytest.mark.parametrize(("channels", "confidence"), [(1, 0.5), (7, 0.95), (26, 0.99)])
def test_the_fewest_episodes_are_those_that_reach_the_largest_p0(made, channels, confidence):
    needed = episodes_needed(channels, confidence)
    p0 = [1 - ((1 - confidence) / (4 * channels)) ** (1 / n) for n in (needed - 1, needed)]
    assert p0[1] <= LARGEST_P0 < p0[0]


def test_too_few_episodes_are_refused_with_how_many_are_needed():
    assert calibrate(TWICE, episodes(10), block=10).episodes == 10
    with pytest.raises(StatsError, match=r"too few correct episodes, 9: .* 7 channels .* need 10 .* record 1 more"):
        calibrate(TWICE, episodes(9), block=10)
    with pytest.raises(StatsError, match="too few correct episodes, 0"):
        calibrate(TWICE, [])


def test_too_few_real_episodes(shared_registry, shared_trajectories):
    recorded = load_actions(shared_trajectories / "lerobot/g1-policy-train").episodes
    with pytest.raises(StatsError, match=r"too few correct episodes, 10: limits on 26 channels .* need 12 at least"):
        calibrate(load_spec(f"{shared_registry}/lerobot/g1-policy-train"), recorded)


def test_a_channel_without_an_inverse_has_no_limits_and_is_told():
    some = constant_spec([-1.0, 0.3], [1.0, 0.3])
    made = calibrate(some, [np.full((10, 2), 0.3)] * 8, block=10)
    assert [one.channel for one in made.limits] == [0]
    assert made.excluded == {"1": "its map is a constant, a clip or a step and has no inverse"}
    with pytest.raises(StatsError, match="no channel has an inverse"):
        calibrate(constant_spec([0.3], [0.3]), [np.full((10, 1), 0.3)] * 8, block=10)


@pytest.mark.parametrize(
    ("bad", "error", "words"),
    [
        (np.full((20, 7), np.nan), StatsError, r"episode 3 \(from 0\): row 0, channel 0: nan is not a finite number"),
        (np.zeros((20, 6)), ShapeMismatchError, r"episode 3 .* shape \(20, 6\), the spec 7 channels"),
        (np.zeros(20), ShapeMismatchError, r"episode 3 .* shape \(20,\), \(T, 7\) is wanted"),
        (np.zeros((20, 7), complex), DTypeError, r"episode 3 .* complex128"),
        (np.zeros((9, 7)), StatsError, r"episode 3 \(from 0\) has 9 steps, a block 10; leave it out"),
    ],
)
def test_an_episode_that_cannot_be_used_is_named(bad, error, words):
    several = episodes(12)
    several[3] = bad
    with pytest.raises(error, match=words):
        calibrate(TWICE, several, block=10)


@pytest.mark.parametrize("changes", [{"block": 9}, {"block": 10**7}, {"confidence": 0.0}, {"confidence": 1.0}])
def test_parameters_outside_their_range(changes):
    with pytest.raises(StatsError, match=r"a block of|confidence"):
        calibrate(TWICE, episodes(12), **{"block": 10, **changes})


def test_the_file_holds_all_of_it(made):
    strange = replace(made, sources=("caf\u00e9.npz",), excluded={"grip": "no inverse"})
    assert Calibration.from_json(strange.to_json()) == strange
    plain = json.loads(made.to_json())
    assert (plain["schema_version"], plain["digest"], plain["p0"]) == (1, TWICE.digest, made.p0)
    unreadable = calibrate(TWICE, episodes(12), block=10, sources=[b"\xff.npz".decode(errors="surrogateescape")])
    assert Calibration.from_json(unreadable.to_json()).sources == ("\\udcff.npz",)


HOSTILE = {
    "a list": (lambda p: [p], "not a calibration"),
    "another format": (lambda p: {**p, "format": "execspec-certificate"}, "not a calibration"),
    "a newer schema": (lambda p: {**p, "schema_version": 2}, "schema version 2; this program reads 1"),
    "a member less": (lambda p: {k: v for k, v in p.items() if k != "digest"}, "digest"),
    "a member more": (lambda p: {**p, "more": 1}, "more"),
    "a truth for a number": (lambda p: {**p, "episodes": True}, "/episodes: int wanted, found bool"),
    "a text for a number": (lambda p: {**p, "p0": "0.1"}, "/p0: number wanted, found str"),
    "a fraction of steps": (lambda p: {**p, "block": 10.5}, "/block: int wanted"),
    "no limits": (lambda p: {**p, "limits": []}, "no channel"),
    "limits that are no object": (lambda p: {**p, "limits": [1]}, "/limits/0"),
    "three ends": (lambda p: limited(p, low_decile=[0, 1, 2]), "/limits/0/low_decile"),
    "an end that is no number": (lambda p: limited(p, low_decile=[0, None]), "/limits/0/low_decile/1"),
    "ends that cross": (lambda p: limited(p, high_decile=[1, 0]), "the least of a figure is above its largest"),
    "a channel twice": (lambda p: {**p, "limits": p["limits"][:1] * 2}, "do not increase"),
    "a channel before the first": (lambda p: limited(p, channel=-1), "do not increase"),
    "too few episodes": (lambda p: {**p, "episodes": 3}, "too few correct episodes, 3"),
    "a smaller p0": (lambda p: {**p, "p0": 0.001}, "/p0: 0.001; the other numbers give"),
    "a larger confidence": (lambda p: {**p, "confidence": 0.999}, "the other numbers|too few"),
    "no confidence": (lambda p: {**p, "confidence": 1}, "not between 0 and 1"),
    "a huge block": (lambda p: {**p, "block": 10**200, "steps": 10**250}, "a block of"),
    "no block": (lambda p: {**p, "most_blocks": 0}, "hold no 0 blocks"),
    "more blocks than steps": (lambda p: {**p, "most_blocks": 10**9}, "blocks of 10 in one episode"),
    "a source that is no text": (lambda p: {**p, "sources": [1]}, "/sources/0: str wanted"),
    "a reason that is no text": (lambda p: {**p, "excluded": {"a/b": 1}}, "/excluded/a~1b: str wanted"),
}


def limited(plain: dict, **changes: object) -> dict:
    return {**plain, "limits": [{**plain["limits"][0], **changes}, *plain["limits"][1:]]}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_is_no_calibration_is_refused(made, name):
    change, words = HOSTILE[name]
    with pytest.raises(FormatError, match=words):
        Calibration.from_json(json.dumps(change(json.loads(made.to_json()))).encode(), "cal.json")


@pytest.mark.parametrize("data", [b"", b"{", b'{"format": 1, "format": 2}', b"NaN", b"\xff", b"[" * 10_000])
def test_bytes_that_are_not_strict_json_are_refused(data):
    with pytest.raises(FormatError, match=r"cal\.json"):
        Calibration.from_json(data, "cal.json")
