"""The laws of the evidence: what it may be worth on average, at the end of an episode and at every look before."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from execspec_fast.errors import StatsError
from execspec_fast.guarding.eprocess import EProcess, fewest_episodes
from hypothesis import given
from hypothesis import strategies as st

P0 = 0.25
rows = st.lists(st.booleans(), min_size=2, max_size=2)
pasts = st.lists(st.lists(rows, min_size=0, max_size=4), max_size=4)


def run(process: EProcess, *episodes: list[list[bool]]) -> EProcess:
    for episode in episodes:
        for passes in episode:
            process.block(np.array(passes))
        process.end_episode()
    return process


def made(past: list[list[list[bool]]], most_blocks: int = 4) -> EProcess:
    return run(EProcess(2, P0, most_blocks), *past)


@pytest.mark.parametrize("p", [P0, 0.1, 0.0])
@pytest.mark.parametrize("stake", [0.1, 0.8])
def test_independent_blocks_are_worth_at_most_one_on_average(p, stake):
    worth = 0.0
    for path in product((False, True), repeat=6):  # two episodes of three blocks
        chance = math.prod(p if x else 1 - p for x in path)
        process = run(EProcess(1, P0, 3, stake), [[x] for x in path[:3]], [[x] for x in path[3:]])
        worth += chance * math.exp(process.log_e)
    expected = (1 - stake + stake * p / P0) ** 2
    assert worth == pytest.approx(expected, rel=1e-12)
    assert worth <= 1 + 1e-12


def test_blocks_that_are_all_alike_are_worth_no_more():
    """A block tells the next ones: multiplied instead of averaged, these would be worth a multiple of 1."""
    worth = sum(
        math.prod(P0 if x else 1 - P0 for x in path)
        * math.exp(run(EProcess(1, P0, 3), *([[x]] * 3 for x in path)).log_e)
        for path in product((False, True), repeat=3)
    )
    assert worth == pytest.approx(1.0, rel=1e-12)


@given(past=pasts, count=st.integers(1, 4), p=st.sampled_from([P0, 0.2, 0.01]))
def test_given_any_past_an_episode_does_not_raise_the_evidence_on_average(past, count, p):
    before = math.exp(made(past).log_e)
    after = sum(
        math.prod(p if x else 1 - p for x in path) * math.exp(made([*past, [[x, x] for x in path]]).log_e)
        for path in product((False, True), repeat=count)
    )
    assert after <= before * (1 + 1e-12)
    if p == P0:
        assert after == pytest.approx(before, rel=1e-12)


@given(past=pasts, episode=st.lists(rows, min_size=1, max_size=4))
def test_a_look_at_the_end_of_a_block_never_exceeds_the_end_of_the_episode(past, episode):
    process, looks = made(past), []
    for passes in episode:
        process.block(np.array(passes))
        looks.append(process.log_e)
    process.end_episode()
    assert max(looks) <= process.log_e + 1e-12
    if len(episode) == process.most_blocks:
        assert looks[-1] == pytest.approx(process.log_e, abs=1e-12)


@given(past=pasts.filter(lambda past: any(past)), data=st.data())
def test_one_more_passage_never_lowers_the_evidence(past, data):
    n = data.draw(st.sampled_from([n for n, episode in enumerate(past) if episode]))
    b, limit = data.draw(st.integers(0, len(past[n]) - 1)), data.draw(st.integers(0, 1))
    quiet = [[list(passes) for passes in episode] for episode in past]
    quiet[n][b][limit] = False
    loud = [[list(passes) for passes in episode] for episode in quiet]
    loud[n][b][limit] = True
    assert made(loud).log_e > made(quiet).log_e


def test_false_alarms_are_rare_whatever_the_blocks_of_an_episode_do():
    """Many runs side by side, looked at after every block: independent blocks, and ones that stay as the first was."""
    runs, alpha, rng = 20_000, 0.05, np.random.default_rng(0)
    for sticky in (False, True):
        process, ever = EProcess(runs, P0, 5), np.zeros(runs, bool)
        for _ in range(60):
            blocks = int(rng.integers(1, 6))
            first = rng.random(runs) < P0
            for _ in range(blocks):
                process.block(first if sticky else rng.random(runs) < P0)
                ever |= process.log_each >= -math.log(alpha)
            process.end_episode()
            ever |= process.log_each >= -math.log(alpha)
        assert 0 < ever.mean() <= alpha


def test_the_evidence_of_several_limits_is_their_mean():
    process = run(EProcess(3, P0, 2, 0.5), [[True, False, True], [True, False, False]])
    each = [0.5 + 0.5 / P0, 0.5, 0.5 + 0.25 / P0]
    assert np.exp(process.log_each) == pytest.approx(each)
    assert math.exp(process.log_e) == pytest.approx(np.mean(each))
    assert process.passed.tolist() == [2, 0, 1]


def test_blocks_beyond_the_most_and_episodes_without_any_say_nothing():
    short, long = (run(EProcess(1, P0, 2), [[False], [False], *more]) for more in ([], [[True]] * 3))
    assert long.log_e == short.log_e
    assert (long.blocks, long.passed[0]) == (2, 0)
    assert run(short, [], []).log_e == long.log_e
    assert short.episodes == 1


def test_evidence_beyond_float64_is_held():
    process = EProcess(2, P0, 1)
    for _ in range(10_000):
        process.block(np.array([True, False]))
        process.end_episode()
    assert process.log_e == pytest.approx(10_000 * math.log(0.2 + 0.8 / P0) - math.log(2))


@pytest.mark.parametrize(("p0", "alpha", "stake"), [(0.3, 0.01, 0.8), (0.05, 1e-6, 0.5), (0.49, 0.2, 0.9)])
def test_the_fewest_episodes_of_an_alarm(p0, alpha, stake):
    process, episodes = EProcess(2, p0, 3, stake), 0
    while process.log_e < -math.log(alpha):
        run(process, [[True, True]] * 3)
        episodes += 1
    assert fewest_episodes(p0, alpha, stake) == episodes


@pytest.mark.parametrize(
    ("limits", "p0", "most_blocks", "stake"),
    [(0, P0, 1, 0.5), (1, 0.0, 1, 0.5), (1, 1.0, 1, 0.5), (1, float("nan"), 1, 0.5), (1, P0, 0, 0.5), (1, P0, 1, 1.0)],
)
def test_numbers_outside_their_range(limits, p0, most_blocks, stake):
    with pytest.raises(StatsError, match="between 0 and 1"):
        EProcess(limits, p0, most_blocks, stake)
