"""Rules: each sees its own fault, names the channel and the number, and keeps quiet on healthy figures."""

from __future__ import annotations

import json

import numpy as np
import pytest
from execspec_fast.auditing.rules import RULES, diagnose, spans
from execspec_fast.conventions import inferred
from execspec_fast.formats.published import Checkpoint, Published
from execspec_fast.stats import NormStats
from hypothesis import given
from hypothesis import strategies as st

RNG = np.random.default_rng(7)
DATA = RNG.normal([0.1, -0.2, 0.0, 0.3], [0.5, 0.4, 0.6, 0.5], (4000, 4))


def stats(data=DATA, *, figures=("mean", "std", "min", "max", "q01", "q99"), **changes):
    """Figures of the data as NumPy gives them, with some replaced on some channels: `q99={3: 0.5}`."""
    made = {
        "mean": data.mean(0),
        "std": data.std(0),
        "min": data.min(0),
        "max": data.max(0),
        **{f"q{p:02d}": np.quantile(data, p / 100, axis=0) for p in (1, 10, 50, 90, 99)},
    }
    made = {name: made[name] for name in made if name in figures}
    for name, values in changes.items():
        for channel, value in values.items():
            made[name][channel] = value
    return NormStats(made, count=len(data))


def check(published_stats, profile="openpi-quantile", keys=("robot",)):
    published = tuple(Published(key, published_stats, inferred(profile, "test")) for key in keys)
    return diagnose(Checkpoint("ckpt", "test", published))


def codes(*arguments, **named):
    return [(f.code, f.severity) for f in check(*arguments, **named)]


@pytest.mark.parametrize(
    "profile",
    [
        "openvla",
        "openvla-oft",
        "openpi-zscore",
        "openpi-quantile",
        "lerobot-mean_std",
        "lerobot-min_max",
        "lerobot-quantiles",
    ],
)
def test_healthy_figures_are_quiet(profile):
    two_valued = np.column_stack([DATA, np.sign(DATA[:, 0])])
    assert check(stats(two_valued), profile) == []


@given(
    scale=st.lists(st.floats(0.02, 50), min_size=4, max_size=4),
    offset=st.lists(st.floats(-5, 5), min_size=4, max_size=4),
    float32=st.booleans(),
)
def test_true_statistics_of_any_data_obey_the_structural_laws(scale, offset, float32):
    data = DATA[:50] * np.array(scale) + np.array(offset)
    made = stats(data, figures=("mean", "std", "min", "max", "q01", "q10", "q50", "q90", "q99"))
    if float32:
        made = NormStats({n: made[n].astype(np.float32) for n in made}, count=made.count)
    assert [c for c in codes(made) if c[0] == "S5"] == []


def test_s3_near_zero_range_gives_the_amplification():
    """The figures of openpi issue 814: a range of 9.8e-4 around a joint parked at 1.57 sends 0 to -3200."""
    width = 9.8e-4
    low = 3199.494 * (width + 1e-6) / 2
    (finding,) = check(stats(q01={2: low}, q99={2: low + width}, mean={2: low}, std={2: 2e-4}), "openpi-quantile")
    assert (finding.code, finding.severity) == ("S3", "warning")
    assert finding.evidence["keys"]["robot"]["zero"] == pytest.approx(-3200.494, abs=1e-3)
    assert "-3200.49" in finding.message
    assert "channel 2" in finding.message


def test_s3_is_quiet_about_a_narrow_range_that_the_forward_map_clips():
    assert (
        codes(stats(q01={2: 1.5}, q99={2: 1.5009}, min={2: 1.4}, max={2: 1.6}, mean={2: 1.5}, std={2: 1e-3}), "openvla")
        == []
    )


@pytest.mark.parametrize(
    ("profile", "expected"),
    [("openvla", ("S3", "note")), ("openpi-quantile", ("S3", "warning")), ("lerobot-quantiles", ("S3", "warning"))],
)
def test_s3_zero_range_where_the_data_move(profile, expected):
    sparse = stats(q01={1: 0}, q99={1: 0}, min={1: -0.1}, max={1: 0.1}, mean={1: 0}, std={1: 0.004})
    assert codes(sparse, profile) == [expected]


def test_s3_constant_channels_are_one_note_and_padding_is_none():
    flat = {1: 0.0}
    constant = stats(mean=flat, std=flat, min=flat, max=flat, q01=flat, q99=flat)
    assert codes(constant) == [("S3", "note")]
    (shared,) = check(constant, keys=("a", "b"))
    assert shared.target == "ckpt"
    assert "on 2 keys" in shared.message
    assert set(shared.evidence["keys"]) == {"a", "b"}
    padded = {2: 0.0, 3: 0.0}
    assert codes(stats(mean=padded, std=padded, min=padded, max=padded, q01=padded, q99=padded)) == []


def test_masked_channels_are_not_judged():
    figures = stats(q01={3: 0}, q99={3: 0})
    masked = NormStats(figures.figures, mask=np.array([True, True, True, False]), count=figures.count)
    assert codes(figures, "openvla") == [("S3", "note")]
    assert codes(masked, "openvla") == []


@pytest.mark.parametrize("profile", ["lerobot-mean_std", "lerobot-min_max"])
def test_s4_one_corrupt_episode(profile):
    data = DATA.copy()
    data[:8, 2] = 4000
    assert ("S4", "warning") in codes(stats(data), profile)
    assert codes(stats(data), "openvla") == []


def test_s4_quantiles_without_a_clip_let_outliers_through():
    data = DATA.copy()
    data[:8, 2] = 4000
    (finding,) = check(stats(data), "openpi-quantile")
    assert (finding.code, finding.severity) == ("S4", "warning")


@pytest.mark.parametrize(
    ("changes", "severity"),
    [
        ({"q01": {1: 3.0}}, "error"),
        ({"min": {1: 0.0}}, "warning"),
        ({"max": {1: 0.0}}, "warning"),
        ({"mean": {1: 9.0}}, "warning"),
        ({"std": {1: 9.0}}, "warning"),
        ({"std": {1: -0.1}}, "warning"),
    ],
)
def test_s5_laws(changes, severity):
    found = [f for f in check(stats(**changes), "openpi-quantile") if f.code == "S5"]
    assert severity in {f.severity for f in found}
    assert all(f.evidence["keys"]["robot"]["channels"] == [1] for f in found)


def test_s5_merged_quantiles_only_where_they_are_read():
    merged = NormStats(stats().figures, count=10_000, estimator="merged")
    assert codes(merged, "openpi-quantile") == [("S5", "warning")]
    assert codes(merged, "lerobot-mean_std") == []


@pytest.mark.parametrize(
    ("figures", "profile", "code"),
    [
        ({"mean": np.full(4, np.inf), "std": np.full(4, np.inf)}, "lerobot-0.3-mean_std", "S2"),
        ({"mean": np.zeros(4), "std": np.ones(4)}, "lerobot-mean_std", "S2"),
        ({"q01": np.zeros(4), "q99": np.zeros(4)}, "openvla", "S2"),
        ({"mean": np.zeros(4), "std": np.array([0.5, np.nan, 0.5, 0.4])}, "lerobot-mean_std", "S8"),
        ({"mean": np.zeros(4), "std": np.array([0.5, 0.3, 0.5, 0.4])}, "lerobot-quantiles", "S7"),
    ],
)
def test_figures_no_robot_should_run_are_errors(figures, profile, code):
    assert (code, "error") in codes(NormStats(figures), profile)


@pytest.mark.parametrize("profile", ["lerobot-mean_std", "openpi-zscore", "octo-normal"])
@pytest.mark.parametrize("name", ["mean", "std"])
def test_s7_one_of_two_figures_is_not_enough(profile, name):
    assert codes(stats(figures=(name, "min", "max")), profile) == [("S7", "error")]


def still(std, gripper=True):
    """Every arm channel has a range of 0; the last, if it is a gripper, opens and closes."""
    data = np.column_stack([DATA, np.sign(DATA[:, 0])])
    arm = {d: 0.1 * d for d in range(4 if gripper else 5)}
    low, high = ({d: value + sign * std for d, value in arm.items()} for sign in (-10, 10))
    figures = stats(data, q01=arm, q99=arm, mean=arm, std=dict.fromkeys(arm, std), min=low, max=high)
    return NormStats(figures.figures, mask=np.arange(5) < (4 if gripper else 5), count=len(data))


def test_s3_a_robot_that_never_moves_is_an_error_and_one_that_is_held_still_a_warning():
    assert codes(still(0.0), "openvla") == [("S3", "error")]
    assert codes(still(0.01), "openvla") == [("S3", "warning")]
    assert codes(still(0.0, gripper=False), "gr00t-n1.6-min_max") == [("S3", "note")]  # one part at rest


def test_s3_s5_a_std_of_zero_where_the_data_have_a_range():
    for figures in (("mean", "std", "min", "max"), ("mean", "std", "q01", "q99")):
        frozen = stats(figures=figures, std={1: 0.0})
        found = check(frozen, "openpi-zscore")
        assert [(f.code, f.severity) for f in found] == [("S3", "warning"), ("S5", "warning")]
        assert all(f.evidence["keys"]["robot"]["channels"] == [1] for f in found)
        assert not any("never move" in f.message for f in found)


@given(
    values=st.lists(
        st.sampled_from([0.0, -0.0, 1.0, -1e308, 1e308, 5e-324, np.inf, -np.inf, np.nan]), min_size=3, max_size=3
    ),
    name=st.sampled_from(["mean", "std", "min", "max", "q01", "q99"]),
    profile=st.sampled_from(["openvla", "openpi-zscore", "openpi-quantile", "lerobot-min_max"]),
)
def test_no_figure_makes_numpy_warn(values, name, profile):
    """Warnings are errors here."""
    check(stats(**{name: dict(enumerate(values))}), profile)


def test_s2_a_gripper_that_is_not_normalized_is_no_placeholder():
    """Octo writes mean 0 and std 1 for the one channel it passes through."""
    assert codes(stats(mean={3: 0}, std={3: 1}, min={3: -2}, max={3: 2}), "lerobot-mean_std") == []


def test_k3_mask_false_everywhere():
    figures = stats()
    assert ("K3", "error") in codes(NormStats(figures.figures, mask=np.zeros(4, bool)), "openvla")


def test_s6_shapes():
    pooled = {"mean": np.full(4, 0.3), "std": np.full(4, 0.2)}
    assert codes(NormStats(pooled), "lerobot-mean_std") == [("S6", "warning")]
    chunk = NormStats({name: np.tile(value, (8, 1)) for name, value in stats().figures.items()})
    assert codes(chunk, "lerobot-quantiles") == [("S6", "error")]


def test_figures_per_time_step_are_fine_where_they_are_read_so():
    chunk = NormStats({name: np.tile(value, (8, 1)) for name, value in stats().figures.items()})
    assert codes(chunk, "gr00t-n1.6-min_max") == []


def test_a_mask_that_is_not_honoured_spares_nothing():
    figures = stats(q01={3: 0}, q99={3: 0}, mean={3: 0}, std={3: 0.5})
    masked = NormStats(figures.figures, mask=np.array([True, True, True, False]), count=figures.count)
    assert codes(masked, "openpi-quantile") == [("S3", "warning")]


def test_s8_is_a_warning_where_nobody_reads_the_figure():
    assert codes(stats(max={0: np.inf}), "openpi-quantile") == [("S8", "warning")]


@pytest.mark.parametrize("key", ["libero_gоal", "libero_goal ", "libero_goal\u200b", "libero_gοal"])
def test_k4_keys_that_are_not_what_they_look_like(key):
    assert ("K4", "error") in codes(stats(), keys=(key,))
    (finding,) = [f for f in check(stats(), keys=("libero_goal", key)) if f.code == "K4"]
    assert "\\" in finding.message or "' " in finding.message or " '" in finding.message


def test_k4_empty_key_and_hidden_letters_in_other_findings():
    assert ("K4", "error") in codes(stats(), keys=("",))
    (shared,) = [f for f in check(stats(q01={3: 0}, q99={3: 0}), "openvla", keys=("a", "gоal")) if f.code == "S3"]
    assert "'g\\u043eal': channel 3" in shared.message


def test_k4_is_quiet_about_a_registry_of_names():
    assert codes(stats(), keys=("libero_goal", "libero_goal_no_noops", "libero_10", "libero_90", "东西")) == []


def test_every_code_has_a_title_and_evidence_is_json():
    assert all(rule.title for rule in RULES.values())
    json.dumps([f.to_dict() for f in check(stats(q01={1: 3.0}, std={1: 9.0}))])


def test_spans():
    assert spans([0, 7, 8, 9, 34]) == "0, 7-9, 34"
