"""Siblings: which wrong keys are ranked, how far off they are, and in which unit that is read."""

from __future__ import annotations

import numpy as np
import pytest
from execspec_fast.actions import Actions
from execspec_fast.auditing import siblings
from execspec_fast.auditing.question import Question
from execspec_fast.auditing.siblings import plausible, rank
from execspec_fast.controllers import Controller
from execspec_fast.conventions import Conventions, declared, inferred
from execspec_fast.drift import drift
from execspec_fast.sample import ActionSample
from execspec_fast.spec import ExecSpec
from execspec_fast.stats import NormStats

OSC = {
    "input_min": np.full(6, -1.0),
    "input_max": np.full(6, 1.0),
    "output_min": np.array([-0.05] * 3 + [-0.5] * 3),
    "output_max": np.array([0.05] * 3 + [0.5] * 3),
    "unit": ("m",) * 3 + ("rad",) * 3,
}


def spec(key, low, high, gripper=None):
    stats = NormStats({"q01": np.array(low, float), "q99": np.array(high, float)})
    conventions = Conventions() if gripper is None else Conventions(gripper=declared(gripper, "test"))
    return ExecSpec("ckpt", key, "openvla", inferred("openvla", "test"), stats, conventions)


def osc(**changes):
    return Controller(name="OSC_POSE", part="", **{**OSC, "delta": declared(True, "test"), **changes})


@pytest.mark.parametrize(("factor", "expected"), [(9.9, True), (10.1, False), (1 / 9.9, True), (1 / 10.1, False)])
def test_plausible_is_within_ten_on_every_channel(factor, expected):
    specs = [spec("a", [-1, -1], [1, 1]), spec("b", [-1, -factor], [1, factor])]
    assert plausible(specs).tolist() == [[True, expected], [expected, True]]


def test_a_channel_that_is_constant_in_one_key_only_is_not_plausible():
    moving, still = spec("a", [-1, -1], [1, 1]), spec("b", [-1, 0.5], [1, 0.5])
    assert plausible([moving, still]).tolist() == [[True, False], [False, True]]
    assert plausible([still, spec("c", [-1, 0.7], [1, 0.7])]).all()


def test_the_gripper_does_not_decide():
    a, b = spec("a", [-1, 0], [1, 1], (1,)), spec("b", [-1, 0], [1, 100], (1,))
    assert plausible([a, b]).all()
    assert not plausible([spec("a", [-1, 0], [1, 1]), spec("b", [-1, 0], [1, 100])])[0, 1]


def test_rank_finds_the_ends_of_all_plausible_pairs_and_counts_the_rest():
    specs = [
        spec("a", [-1, -1], [1, 1]),
        spec("b", [-0.5, -1], [1, 2]),
        spec("c", [-1, -0.2], [3, 0.2]),
        spec("millimetres", [-1000, -1000], [1000, 1000]),
        spec("wide", [-1] * 3, [1] * 3),
        spec("also a", [-1, -1], [1, 1]),
    ]
    sample = ActionSample.from_stats
    all_pairs = {
        (i.key, j.key): drift(i, j, sample(i)).mean for i in specs[:3] for j in specs[:3] if i.digest != j.digest
    }
    found = rank(specs[:3], specs[3:], specs[:3], sample)
    nearest, worst = found.nearest, found.worst
    assert (nearest.drift.mean, worst.drift.mean) == (min(all_pairs.values()), max(all_pairs.values()))
    assert all_pairs[nearest.intended.key, nearest.executed.key] == nearest.drift.mean
    # 3 intended x 5 others: "also a" is a itself for a, and as far as a for b and c
    assert (found.plausible, found.implausible, found.equal, found.other_width) == (8, 3, 1, 3)


def test_a_known_intended_key_is_ranked_alone_and_a_shadowed_one_is_marked():
    specs = [spec("a", [-1, -1], [1, 1]), spec("b", [-2, -2], [2, 2])]
    lost = spec("lost", [-4, -4], [4, 4])
    found = rank(specs, [lost], specs[:1], ActionSample.from_stats)
    assert [found.nearest.executed.key, found.worst.executed.key] == ["b", "lost"]
    assert [found.nearest.shadowed, found.worst.shadowed] == [False, True]
    assert {found.nearest.intended.key, found.worst.intended.key} == {"a"}


def test_too_many_keys_are_counted_not_ranked(monkeypatch):
    monkeypatch.setattr(siblings, "MANY", 2)
    specs = [spec(str(n), [-n], [n]) for n in (1, 2, 3)]
    found = rank(specs, [], specs, ActionSample.from_stats)
    assert (found.unranked, found.plausible, found.other_width, found.worst) == (6, 0, 0, None)


def test_a_checkpoint_with_one_key_has_no_siblings():
    only = spec("a", [-1], [1])
    found = rank([only], [], [only], ActionSample.from_stats)
    assert (found.nearest, found.worst, found.plausible) == (None, None, 0)


def test_the_sample_is_the_given_actions_where_they_fit():
    question = Question(actions=Actions(np.zeros((5, 2)), (5,), "demos.npz"))
    assert question.sample(spec("a", [-1, -1], [1, 1])).count == 5
    assert "quantiles" in question.sample(spec("b", [-1] * 3, [1] * 3)).description


def test_figures_that_make_no_distribution_leave_a_uniform_one():
    stats = NormStats({"q01": np.array([-1.0]), "q99": np.array([1.0]), "q50": np.array([5.0])})
    odd = ExecSpec("ckpt", "a", "openvla", inferred("openvla", "test"), stats)
    assert Question().sample(odd).description.startswith("uniform")
