"""`ExecSpec`: what it computes, what its digest is blind to, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from ecosystems import WIDTH
from exact import same_bits
from execspec_fast import reference
from execspec_fast.conventions import UNKNOWN, Conventions, declared, inferred
from execspec_fast.drift import drift
from execspec_fast.errors import MissingStatsError, ShapeMismatchError, UnknownProfileError
from execspec_fast.formats.published import Published, Source
from execspec_fast.ops import OpKind, stage, table
from execspec_fast.profiles import PROFILES
from execspec_fast.sample import ActionSample
from execspec_fast.spec import ExecSpec
from execspec_fast.stats import NormStats
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import samples, stats

FIGURES = {"q01": [-0.03, -0.2, 0.0], "q99": [0.05, 0.2, 1.0], "min": [-1.0, -1.0, 0.0], "max": [1.0, 1.0, 1.0]}
STATS = NormStats(FIGURES, mask=np.array([True, True, False]))
SOURCE = Source("config.json", "/norm_stats/bridge_orig/action", "0" * 64)


def published(profile: str | None = "openvla", **fields: object) -> Published:
    fact = UNKNOWN if profile is None else inferred(profile, "layout of config.json")
    return replace(Published("bridge_orig", STATS, fact, sources={"stats": SOURCE}), **fields)


def spec(profile: str | None = None, **fields: object) -> ExecSpec:
    return replace(ExecSpec.from_published(published(), "runs/a", "openvla", profile), **fields)


@pytest.mark.parametrize("name", PROFILES)
@settings(max_examples=15)
@given(data=st.data())
def test_dtype_in_is_dtype_out_and_native_is_the_ecosystem_s(name: str, data: st.DataObject) -> None:
    s = data.draw(stats(WIDTH.get(name)))
    one = ExecSpec("a", "k", "e", declared(name, "here"), s)
    for dtype in ("float32", "float64"):
        u = data.draw(samples(s.dim, dtype=dtype))
        native = reference.unnormalize(PROFILES[name].table(s), u)
        assert same_bits(one.unnormalize(u, dtype="native"), native)
        with np.errstate(over="ignore"):
            assert same_bits(one.unnormalize(u), native.astype(dtype))
            assert same_bits(one.unnormalize(u, dtype=np.float32), native.astype(np.float32))


def test_out_is_written_in_place_and_returned() -> None:
    u, out = np.array([[0.5, -1.0, 0.25]]), np.empty((1, 3))
    assert spec().unnormalize(u, out=out) is out
    assert same_bits(out, spec().unnormalize(u))


def test_command_runs_the_client_s_ops_after_the_un_normalizer() -> None:
    gripper = [False, False, True]
    post = table(
        stage(3, OpKind.LINEAR, 2.0, -1.0, where=gripper),
        stage(3, OpKind.STEP, 0.0, 1.0, 0.0, -1.0, where=gripper),  # sign, then invert
    )
    u = np.array([0.0, 0.0, 0.75])
    with_post = spec(post=post)
    assert with_post.unnormalize(u)[2] == 0.75
    assert with_post.command(u)[2] == -1.0
    assert same_bits(with_post.command(u)[:2], with_post.unnormalize(u)[:2])
    assert same_bits(spec().command(u), spec().unnormalize(u))


def test_normalize_is_the_forward_map_and_inverse_is_the_exact_one() -> None:
    a = np.array([0.5, 0.1, 0.25])  # the first channel lies beyond q99
    forward = reference.unnormalize(PROFILES["openvla"].forward(STATS), a)
    assert same_bits(spec().normalize(a), forward.astype(np.float64))
    assert spec().normalize(a)[0] == 1.0
    assert spec().unnormalizer.inverse(a)[0] > 10.0


def test_a_user_s_profile_overrides_and_says_so() -> None:
    plain, chosen = spec(), spec("openvla-oft")
    assert (plain.profile, plain.profile_fact.status, plain.name) == ("openvla", "inferred", "runs/a#bridge_orig")
    assert (chosen.profile, chosen.profile_fact.status) == ("openvla-oft", "declared")
    assert chosen.name == "runs/a#bridge_orig@openvla-oft"
    assert plain.domain.points
    assert not chosen.domain.points
    assert chosen.unnormalize(np.ones(3))[0] > plain.unnormalize(np.ones(3))[0]


def test_a_declared_eps_stays_with_its_ecosystem() -> None:
    flat = NormStats({name: [1.0] for name in ("min", "max", "q01", "q99")})
    lerobot = published("lerobot-min_max", stats=flat, eps=0.5)
    one = np.ones(1)
    assert ExecSpec.from_published(lerobot, "a", "lerobot").unnormalize(one)[0] == 1.5
    assert ExecSpec.from_published(lerobot, "a", "lerobot").normalize(1.5 * one)[0] == 1.0
    assert ExecSpec.from_published(lerobot, "a", "lerobot", "lerobot-quantiles").unnormalize(one)[0] == 1.5
    assert ExecSpec.from_published(lerobot, "a", "lerobot", "openpi-quantile").unnormalize(one)[0] == 1 + 1e-6


def test_the_digest_is_blind_to_layout_and_names() -> None:
    elsewhere = replace(
        published(),
        key="fractal",
        stats=NormStats({**FIGURES, "mean": [9.0, 9.0, 9.0]}, mask=STATS.mask, count=7, estimator="histogram"),
        sources={"stats": Source("norm_stats.json", "/x", "1" * 64)},
    )
    assert ExecSpec.from_published(elsewhere, "runs/b", "nora").digest == spec().digest
    all_true = NormStats(FIGURES, mask=np.ones(3, bool))
    assert spec(stats=all_true).digest == spec(stats=NormStats(FIGURES)).digest
    rate = [spec(conventions=Conventions(rate=fact)) for fact in (declared(20, "a"), inferred(20.0, "b"))]
    assert rate[0].digest == rate[1].digest


def test_the_digest_sees_everything_the_robot_would() -> None:
    nearly = NormStats({**FIGURES, "q99": np.nextafter(FIGURES["q99"], 2)}, mask=STATS.mask)
    unmasked = NormStats(FIGURES)
    post = table(stage(3, OpKind.LINEAR, 2.0, -1.0))
    variants = [
        spec(),
        spec(stats=nearly),
        spec(stats=unmasked),
        spec(post=post),
        spec("openvla-oft"),
        spec("lerobot-quantiles"),
        spec(conventions=Conventions(gripper=declared((2,), "a"))),
        spec(conventions=Conventions(gripper=declared((), "a"))),
        spec(conventions=Conventions(rotation=declared("euler_xyz", "a"))),
        spec(conventions=Conventions(frame=declared("euler_xyz", "a"))),
    ]
    assert len({one.digest for one in variants}) == len(variants)


def test_the_digest_is_pinned() -> None:
    """Deployments pin it, so it may only change with a CHANGELOG entry."""
    assert spec().digest == "684bea235842594746651bd85924d74c490026eac351dd0d7de79b5a0581ff3e"


def test_it_names_channels_and_gripper_and_is_json() -> None:
    bare = spec()
    assert (bare.dim, bare.channels, bare.gripper, bare.map.gripper) == (3, ("0", "1", "2"), None, None)
    named = Conventions(names=declared(("x", "y", "g"), "a"), gripper=declared((2,), "a"))
    full = spec(conventions=named)
    assert (full.channels, full.gripper, full.map.gripper, full.map.domain) == (
        ("x", "y", "g"),
        (2,),
        (2,),
        full.domain,
    )
    told = json.loads(json.dumps(full.to_dict(), allow_nan=False))
    assert told["sources"] == {"stats": "config.json#/norm_stats/bridge_orig/action"}
    assert told["profile"]["status"] == "inferred"
    assert len(told["ops"]) == 3
    assert repr(full).startswith("ExecSpec('runs/a#bridge_orig', profile='openvla', dim=3")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"conventions": Conventions(names=declared(("x",), "a"))}, "1 channel names for 3 channels"),
        ({"conventions": Conventions(units=declared(("m",) * 4, "a"))}, "4 channel units for 3 channels"),
        ({"conventions": Conventions(gripper=declared((2, 3), "a"))}, "gripper channel 3 of 3 channels"),
        ({"post": stage(2, OpKind.IDENTITY)}, "post has 2 channels, the figures 3"),
    ],
)
def test_facts_that_do_not_fit_the_figures_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ShapeMismatchError, match=f"runs/a#bridge_orig: {message}"):
        spec(**fields)


def test_a_spec_that_cannot_run_never_exists() -> None:
    with pytest.raises(MissingStatsError, match="'openpi-zscore' needs mean, std"):
        spec("openpi-zscore")
    with pytest.raises(UnknownProfileError, match="no profile 'no-such'"):
        spec("no-such")
    unsaid = published(None, alternatives=("openpi-zscore", "openpi-quantile"))
    with pytest.raises(UnknownProfileError, match="name one as PATH#KEY@PROFILE: openpi-quantile, openpi-zscore"):
        ExecSpec.from_published(unsaid, "a", "openpi")
    with pytest.raises(MissingStatsError, match="min, max is not published"):
        spec(stats=NormStats({name: FIGURES[name] for name in ("q01", "q99")})).normalize(np.zeros(3))


# Figures per time step

STEPS = NormStats({"min": np.zeros((3, 2)), "max": np.array([[1.0, 2.0], [10.0, 20.0], [100.0, 200.0]])})


def chunked(profile: str = "gr00t-n1.6-min_max") -> ExecSpec:
    facts = Conventions(names=declared(("x", "grip"), "here"), gripper=declared((1,), "here"))
    return ExecSpec("a", "k", "gr00t", declared(profile, "here"), STEPS, facts)


def test_every_time_step_has_channels_of_its_own() -> None:
    spec = chunked()
    assert (spec.dim, spec.steps, spec.table().shape[1]) == (6, 3, 6)
    assert spec.channels == ("x@0", "grip@0", "x@1", "grip@1", "x@2", "grip@2")
    assert spec.gripper == spec.map.gripper == (1, 3, 5)
    u = np.random.default_rng(0).uniform(-1.5, 1.5, (4, 3, 2))
    want = (np.clip(u, -1, 1) + 1) / 2 * (STEPS["max"] - STEPS["min"]) + STEPS["min"]
    assert same_bits(spec.unnormalize(u), want)
    assert same_bits(spec.command(u), want)
    assert spec.normalize(want) == pytest.approx(np.clip(u, -1, 1))


def test_chunks_are_written_in_place() -> None:
    spec, u = chunked(), np.ones((2, 3, 2))
    out = np.zeros((4, 3, 2))[::2]
    assert spec.unnormalize(u, out=out) is out
    assert out[1].tolist() == STEPS["max"].tolist()
    with pytest.raises(ShapeMismatchError, match="side by side in memory"):
        spec.unnormalize(u, out=np.zeros((2, 2, 3)).transpose(0, 2, 1))
    for shape in ((6,), (2, 3), (3, 3, 2, 1)):
        with pytest.raises(ShapeMismatchError):
            spec.unnormalize(np.ones(shape))
    with pytest.raises(ShapeMismatchError):
        spec.unnormalize(u, out=np.zeros((3, 2)))


def test_drift_sees_every_time_step() -> None:
    wide = replace(chunked(), stats=NormStats({"min": STEPS["min"], "max": 2 * STEPS["max"]}))
    one = drift(chunked(), wide, ActionSample(np.ones((5, 3, 2)).reshape(5, -1)))
    assert one.mean_abs.tolist() == [1.0, 2.0, 10.0, 20.0, 100.0, 200.0]
    assert one.channels_used == (0, 2, 4)
    assert ActionSample.from_stats(wide).dim == 6


def test_a_clip_of_u_leaves_the_sample_what_it_is() -> None:
    """GR00T N1.6 clips u and N1 does not; the actions behind the same figures are normalized alike."""
    one = ExecSpec("a", "k", "gr00t", declared("gr00t-n1-min_max", "here"), NormStats({"min": [-1.0], "max": [3.0]}))
    clipped = replace(one, profile_fact=declared("gr00t-n1.6-min_max", "here"))
    for make in (ActionSample.from_stats, lambda spec: ActionSample.from_physical(np.array([[0.5], [2.0]]), spec)):
        samples = make(one), make(clipped)
        assert not samples[1].excluded
        wide = replace(one, stats=NormStats({"min": [-2.0], "max": [6.0]}))
        drifts = [drift(one, wide, sample).mean_abs[0] for sample in samples]
        assert drifts[0] == drifts[1] > 0
