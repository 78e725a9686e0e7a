"""The limits of a guard: the exact image of the domain within what a robot takes, each number with its source."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from execspec_fast.controllers import CONTROLLERS
from execspec_fast.domain import Domain
from execspec_fast.errors import GuardError, ShapeMismatchError, UnknownControllerError
from execspec_fast.guarding.bands import Bands
from execspec_fast.guarding.build import guard_image
from execspec_fast.guarding.guard import Guard
from execspec_fast.guarding.watching import WatchLimits
from execspec_fast.ops import OpDType, OpKind, stage, table
from execspec_fast.profiles import PROFILES
from execspec_fast.registry import load_spec, open_registry
from execspec_fast.unnormalizer import Unnormalizer
from guards import ABSOLUTE, DELTA, FREE, bounded, spec, stepped, stepwise
from hypothesis import given
from hypothesis import strategies as st
from strategies import op_tables

EXAMPLES = Path(__file__).parents[1] / "examples" / "registry"
ULP = 2.0**-52


def ends(image) -> np.ndarray:
    return np.stack([image.column("low")[0], image.column("high")[0]])


def test_the_envelope_is_the_image_of_the_domain():
    np.testing.assert_allclose(ends(guard_image(bounded())), [[-0.5, -0.25, -1], [0.5, 0.75, 1]], rtol=16 * ULP)
    half = bounded(Domain(0.0, 0.5, name="half"))
    np.testing.assert_allclose(ends(guard_image(half)), [[0, 0.25, 0], [0.25, 0.5, 0.5]], atol=4 * ULP)


def test_bin_centres_do_not_reach_the_ends():
    points = PROFILES["openvla"].domain.points
    image = guard_image(spec())
    reach = max(points)
    assert 0.99 < reach < 1
    np.testing.assert_allclose(image.column("high")[0, :2], [0.5 * reach, 0.25 + 0.5 * reach], rtol=8 * ULP)


@given(st.data())
def test_no_action_of_the_domain_leaves_the_envelope(data):
    """Whatever the ops: what they make of any u of the domain, run literally, lies in it, and its ends are reached."""
    lo, hi = sorted((data.draw(st.floats(-2, 2)) + 0.0, data.draw(st.floats(-2, 2)) + 0.0))  # no -0.0
    points = tuple(data.draw(st.lists(st.floats(lo, hi), max_size=3)))
    made = Unnormalizer(data.draw(op_tables(1)), domain=Domain(lo, hi, points, "drawn"))
    try:
        image = guard_image(made)
    except GuardError:
        return  # not finite in float32
    low, high = ends(image)[:, 0]
    choose = st.sampled_from(points) if points else st.floats(lo, hi) | st.sampled_from([lo, hi])
    us = np.array([[data.draw(choose)] for _ in range(4)])
    assert ((low <= made(us)) & (made(us) <= high)).all()
    if not points and not (made.table()["kind"] == OpKind.STEP).any():
        bends = [cut[0] for cut, *_ in made._core.pieces(0)[1:] if lo <= cut[0] <= hi]
        reached = made(np.array([lo, hi, *bends])[:, None])
        bands = Bands.of(made, OpDType.FLOAT64, OpDType.FLOAT64, 8)
        rounding = 4 * (bands.tolerance + bands.wider)[0] + 64 * ULP * max(abs(low), abs(high))
        assert reached.min() - low <= rounding
        assert high - reached.max() <= rounding


def test_limits_and_controller_take_away_what_they_forbid():
    image = guard_image(bounded(), limits=([-0.1, -1, -np.inf], 0.6))
    np.testing.assert_allclose(ends(image), [[-0.1, -0.25, -1], [0.5, 0.6, 0.6]], rtol=16 * ULP)
    assert image.channels[0].sources["envelope"] == "image of u ([-1, 1]), within limits given by the user"
    assert image.channels[1].sources["envelope"].endswith("within limits given by the user")
    wide = guard_image(bounded(), limits=(-5, 5))
    assert wide.channels[0].sources["envelope"] == "image of u ([-1, 1])"


def test_a_controller_bounds_what_a_policy_does_not():
    free = load_spec(f"{EXAMPLES}/openvla-oft-libero-10")
    with pytest.raises(GuardError, match=r"channel 0: from -inf to inf, nothing bounds it.*limits="):
        guard_image(free)
    image = guard_image(free, controller="libero")
    np.testing.assert_array_equal(ends(image), [[-1] * 7, [1] * 7])
    assert "controller libero (robosuite" in image.channels[0].sources["envelope"]
    assert image.channels[6].values == (-1.0, 0.0, 1.0)


def test_before_the_client_a_controller_says_nothing_of_the_gripper():
    free = load_spec(f"{EXAMPLES}/openvla-oft-libero-10")
    with pytest.raises(GuardError, match="channel 6"):
        guard_image(free, stage="unnormalized", controller="libero")
    limits = ([-np.inf] * 6 + [-0.1], [np.inf] * 6 + [1.1])
    image = guard_image(free, stage="unnormalized", controller="libero", limits=limits)
    assert ends(image)[:, 6].tolist() == [-0.1, 1.1]
    assert image.channels[6].values == ()
    assert len(image.ops) < len(guard_image(free, controller="libero", limits=limits).ops)


def test_client_ops_run_at_the_stage_command_and_leave_the_digest():
    meant = load_spec(f"{EXAMPLES}/openvla-libero#libero_goal")
    image = guard_image(meant, controller="libero")
    assert image.channels[6].values == (-1.0, 1.0)  # no bin centre is one half
    assert image.digest == meant.digest
    assert guard_image(meant).channels[6].values == ()


def test_commands_are_those_that_the_domain_gives():
    assert guard_image(stepped()).channels[2].values == (-1.0, 1.0)
    assert guard_image(stepped(Domain(0.6, 1.0, name="open"))).channels[2].values == (1.0,)
    three = stage(3, OpKind.STEP, 0.0, -1.0, -0.0, 1.0, where=np.array([False, False, True]))
    values = guard_image(Unnormalizer(table(bounded().table(), three), domain=bounded().domain)).channels[2].values
    assert values == (-1.0, 0.0, 1.0)


def test_a_margin_is_a_share_of_the_width_and_at_least_the_tolerance():
    image = guard_image(bounded(), margin=[0.1, 0.0, 0.2])
    np.testing.assert_allclose(image.column("margin")[0, [0, 2]], [0.1, 0.4], rtol=1e-12)
    assert image.column("margin")[0, 1] == image.column("tolerance")[0, 1] == 8 * ULP * 1.0
    assert "margin given by the user" in image.channels[0].sources["envelope"]
    assert "margin" not in guard_image(bounded()).channels[0].sources["envelope"]


def test_tolerances_are_in_ulp_of_the_channels_scale():
    assert guard_image(bounded()).column("tolerance")[0].tolist() == [8 * ULP, 8 * ULP, 16 * ULP]
    far = bounded(low=np.array([9.5, -0.25, 0]), high=np.array([10.5, 0.75, 1]))
    assert guard_image(far, ulps=2).column("tolerance")[0, 0] == 2 * ULP * 10.5
    assert guard_image(bounded(), dtype="float32").column("tolerance")[0, 0] == 8 * 2.0**-23
    assert guard_image(bounded(), dtype=("float64", "float32")).column("tolerance")[0, 0] == 8 * 2.0**-23
    assert guard_image(bounded(), ulps=3).channels[0].sources["tolerance"] == "3 ULP of float64, given by the user"
    assert guard_image(bounded()).channels[0].sources["tolerance"] == "8 ULP of float64, default"


def test_one_number_is_for_the_arm_and_an_array_for_every_channel():
    image = guard_image(spec(representation=DELTA), jump=0.1, walk=2.0)
    assert image.column("jump")[0].tolist() == [0.1, 0.1, math.inf]
    assert image.column("walk")[0].tolist() == [2.0, 2.0, math.inf]
    assert image.channels[0].sources["jump"] == "given by the user"
    assert image.channels[2].sources["jump"] == "not checked (default)"
    assert guard_image(bounded(), jump=[1, 2, 3]).column("jump")[0].tolist() == [1, 2, 3]


def test_deltas_are_held_by_zero_and_grippers_are_absolute():
    image = guard_image(spec(representation=DELTA), mode="enforce")
    assert [channel.relative for channel in image.channels] == [True, True, False]
    assert image.channels[0].sources["walk"] == "not checked (default); delta (declared: config.json)"
    assert image.channels[2].sources["walk"].endswith("absolute (a gripper)")
    still = guard_image(spec(representation=ABSOLUTE), mode="enforce")
    assert not any(channel.relative for channel in still.channels)
    assert [channel.relative for channel in guard_image(bounded(), relative=True).channels] == [True, True, False]


def test_what_is_not_known_is_not_enforced():
    with pytest.raises(GuardError, match="say relative=True or relative=False"):
        guard_image(bounded(), mode="enforce")
    assert guard_image(bounded()).channels[0].sources["walk"].endswith("deltas or absolute: unknown")
    assert (
        guard_image(bounded(), mode="enforce", relative=False)
        .channels[0]
        .sources["walk"]
        .endswith("absolute (declared: given by the user)")
    )
    with pytest.raises(GuardError, match=r"the actions of ckpt#k are delta, by config\.json"):
        guard_image(spec(representation=DELTA), relative=False)


def test_every_time_step_has_its_own_limits():
    image = guard_image(stepwise(4))
    assert image.columns.shape[1:] == (4, 2)
    assert image.ops.shape[-1] == 8
    assert image.lines.shape[0] == 8
    np.testing.assert_allclose(image.column("high"), np.arange(1, 5)[:, None] * [0.1, 0.2], rtol=1e-12)
    np.testing.assert_allclose(image.column("tolerance")[3] / image.column("tolerance")[0], 4)
    assert [channel.name for channel in image.channels] == ["x", "y"]
    assert all(channel.relative for channel in image.channels)
    with pytest.raises(GuardError, match="the actions of ckpt#chunk are relative"):
        guard_image(stepwise(4), walk=1.0)  # offsets from one state do not add up


def test_siblings_run_under_the_same_client():
    meant, other = spec(), spec(scale=2.0, key="other")
    image = guard_image(meant, siblings=[other])
    assert [one.name for one in image.candidates] == ["ckpt#k", "ckpt#other"]
    assert [one.digest for one in image.candidates] == [meant.digest, other.digest]
    assert image.lines[0, 0].tolist() == [0.5, 1.0]  # x, scale
    tolerance = image.column("tolerance")[0, 0]
    assert 0.5 / tolerance < image.lines[0, 4, 0] < 1 / tolerance
    libero = guard_image(load_spec(f"{EXAMPLES}/openvla-libero#libero_goal"), controller="libero",
                         siblings=[load_spec(f"{EXAMPLES}/openvla-libero#libero_object")])  # fmt: skip
    assert libero.lines[6, 4].tolist() == [0.0, 0.0]  # a gripper of steps tells nothing
    assert (libero.lines[:6, 4] > 0).all()


def test_siblings_have_the_same_shape_and_are_few():
    with pytest.raises(GuardError, match="sibling ckpt#chunk has 2 channels and 4 time steps, ckpt#k has 3 and 1"):
        guard_image(spec(), siblings=[stepwise(4)])
    with pytest.raises(GuardError, match="65 siblings; at most 64"):
        guard_image(spec(), siblings=(spec() for _ in range(65)))
    for no_list in (spec(), 3):
        with pytest.raises(GuardError, match="siblings takes several specs"):
            guard_image(spec(), siblings=no_list)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"limits": (np.nan, 1)}, "channel 0: limits: low = nan is no limit"),
        ({"limits": ([0.1, 0, 0], [0.0, 1, 1])}, "channel 0: limits: low = 0.1 is above high = 0"),
        ({"limits": ([0, 0], 1)}, r"limits: low must be a number or 3 numbers, one per channel; got \(2,\)"),
        ({"limits": 3}, r"limits must be a pair \(low, high\), got 3"),
        ({"limits": ("a", 1)}, "limits: low must be a number"),
        ({"limits": (2, 3)}, "channel 0: the spec gives -0.5 to 0.5, and the limits leave none of it"),
        ({"margin": -0.1}, "channel 0: margin = -0.1 is no share of the envelope's width"),
        ({"margin": np.inf}, "channel 0: margin = inf"),
        ({"jump": -1.0}, "channel 0: jump = -1 must be positive"),
        ({"jump": 0.0}, "channel 0: jump = 0 must be positive"),
        ({"jump": np.nan}, "channel 0: jump = nan is no limit"),
        ({"jump": np.inf}, "jump is infinite on every channel"),
        ({"jump": [1, 2]}, "jump must be a number or 3 numbers"),
        ({"jump": "0.5"}, "jump must be a number or 3 numbers, got '0.5'"),
        ({"jump": True}, "jump must be a number or 3 numbers, got True"),
        ({"jump": np.ma.array([1.0, 1.0, 1.0], mask=[1, 0, 0])}, "jump .* got a masked array"),
        ({"limits": (-np.inf, np.inf)}, "limits: low and high are infinite on every channel"),
        ({"walk": 1.0}, "walk limits what deltas add up to, and the actions of unnormalizer are not known to be"),
        ({"walk": [1, 1, 1], "relative": True}, "channel 2: walk limits what deltas add up to, and a gripper"),
        ({"walk": 1.0, "relative": False}, "unnormalizer are absolute"),
        ({"max_age": 0}, "max_age = 0: a positive number of seconds"),
        ({"max_age": np.nan}, "max_age = nan"),
        ({"max_age": "1"}, "max_age = '1'"),
        ({"stage": "after"}, "stage 'after': `a` is taken at one of command, unnormalized"),
        ({"mode": "strict"}, "mode 'strict': one of observe, warn, enforce"),
        ({"mode": 2}, "mode 2"),
        ({"dtype": "float16"}, "dtype 'float16'"),
        ({"dtype": ("float32",)}, "dtype"),
        ({"dtype": 3}, "dtype 3"),
        ({"latch": (0, 3)}, "latch: faults = 0: a whole number from 1 to 3"),
        ({"latch": (4, 3)}, "latch: faults = 4"),
        ({"latch": (1, 0)}, "latch: steps = 0"),
        ({"latch": 3}, "latch = 3: a pair"),
        ({"latch": (1.5, 3)}, "latch: faults = 1.5"),
        ({"ulps": 0}, "ulps = 0: a number from 1"),
        ({"ulps": np.nan}, "ulps = nan"),
        ({"relative": 1}, "relative = 1"),
        ({"watch": {}}, "watch takes WatchLimits, got dict"),
        ({"controller": 3}, "controller takes a Controller"),
    ],
)
def test_a_bad_limit_is_an_error_and_never_a_weaker_guard(wrong, why):
    with pytest.raises(GuardError, match=why):
        guard_image(bounded(), **wrong)


def test_what_cannot_be_guarded_is_refused():
    with pytest.raises(GuardError, match="an ExecSpec or an Unnormalizer, got dict"):
        guard_image({})
    with pytest.raises(GuardError, match="channel 0: from -inf to inf"):
        guard_image(bounded(FREE))
    with pytest.raises(GuardError, match="65 channels; a guard takes 64"):
        guard_image(Unnormalizer.from_bounds(-np.ones(65), np.ones(65)))
    deep = Unnormalizer(table(*[bounded().table()] * 65), domain=bounded().domain)
    with pytest.raises(GuardError, match="65 stages of ops; a guard takes 64"):
        guard_image(deep)
    with pytest.raises(GuardError, match="jump: one number is for the arm, and every channel is a gripper: give 3"):
        guard_image(Unnormalizer(bounded().table(), domain=bounded().domain, gripper=(0, 1, 2)), jump=0.1)
    with pytest.raises(GuardError, match="nothing can guard"):
        guard_image(Unnormalizer(stage(1, OpKind.LINEAR, 1e100, 0.0, dtype=1), domain=bounded().domain))
    with pytest.raises(UnknownControllerError):
        guard_image(bounded(), controller="none of them")
    with pytest.raises(ShapeMismatchError):
        guard_image(bounded(), controller=CONTROLLERS["aloha"])


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({}, "watches nothing"),
        ({"names": (), "velocity": 1}, "names of its channels"),
        ({"names": "ab", "velocity": 1}, "names of its channels, a tuple of text, got 'ab'"),
        ({"names": 5, "velocity": 1}, "names of its channels"),
        ({"names": ("a", "a"), "velocity": 1}, "names of their own"),
        ({"names": tuple(map(str, range(65))), "velocity": 1}, "65 channels of the watch; it takes 64"),
        ({"unit": 5, "velocity": 1}, "unit of a position is text"),
        ({"unit": ("m", 5), "velocity": 1}, "unit of a position is text"),
        ({"position": (-math.inf, math.inf), "velocity": 1}, "low and high are infinite on every channel"),
        ({"acceleration": 1e-101}, "channel a: acceleration = 1e-101 is below 1e-100"),
        ({"unit": ("m",), "velocity": 1}, "1 units for 2 channels"),
        ({"velocity": 0}, "channel a: velocity = 0 must be positive"),
        ({"velocity": [1, np.nan]}, "channel b: velocity = nan"),
        ({"jerk": -1}, "channel a: jerk = -1"),
        ({"position": (1, 0)}, "channel a: position: low = 1 is above high = 0"),
        ({"velocity": 1, "order": "force"}, "order 'force'"),
        ({"velocity": 1, "stops": True}, "finite acceleration"),
        ({"velocity": 1, "stops": 1}, "stops must be"),
        ({"velocity": 1, "max_dt": -1}, "max_dt = -1"),
        ({"velocity": 1, "max_age": 0}, "max_age = 0"),
    ],
)
def test_a_bad_watch_limit_is_an_error(wrong, why):
    with pytest.raises(GuardError, match=why):
        WatchLimits(**{"names": ("a", "b"), **wrong})


def test_a_watch_says_what_it_does_not_check():
    watched = WatchLimits(("a", "b"), ("m", "rad"), velocity=[1, 2], max_dt=0.01, source="limits.toml").watched()
    assert watched.channels[1].limits["velocity"] == 2
    assert watched.channels[1].unit == "rad"
    assert watched.channels[0].limits["low"] == -math.inf
    assert watched.channels[0].sources == {
        "position": "not checked (default)", "velocity": "limits.toml", "acceleration": "not checked (default)",
        "jerk": "not checked (default)",
    }  # fmt: skip
    assert watched.source == "max_age: not checked (default), max_dt: limits.toml"


def test_every_real_key_that_is_bounded_has_a_guard(shared_registry):
    """25 keys of OpenVLA, and what other stacks clip; the others say which channel is unbounded."""
    assert len([Guard(spec) for spec in open_registry(shared_registry / "openvla").specs]) == 25
    for folder in ("openvla-oft", "openpi", "gr00t", "lerobot", "octo"):
        for one in open_registry(shared_registry / folder).specs:
            if math.isinf(one.domain.hi):
                guard = Guard(one, limits=(-1e4, 1e4))  # which the loader takes
                assert guard.contents.columns.shape[1:] == (one.steps or 1, one.stats.dim)
