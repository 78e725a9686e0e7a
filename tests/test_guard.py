"""`Guard`: each check, what it says of it, and whose actions it recognises."""

from __future__ import annotations

import copy
import pickle
import warnings
from dataclasses import replace
from pathlib import Path

import execspec_fast as es
import numpy as np
import pytest
from execspec_fast import Fault, Guard, Verdict
from execspec_fast.controllers import CONTROLLERS
from execspec_fast.deployment import scripted
from execspec_fast.domain import UNIT_INTERVAL
from execspec_fast.errors import FormatError, GuardError
from execspec_fast.ops import OpKind
from execspec_fast.unnormalizer import Unnormalizer
from guards import DELTA, bounded, spec, stepwise
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import op_tables

EXAMPLES = Path(__file__).parents[1] / "examples" / "registry"
U = np.array([0.5, -0.5, 0.25])


def unnormalized(guard: Guard, u=U) -> np.ndarray:
    out = np.empty(guard.contents.dim)
    guard.command(np.asarray(u, np.float64), out)
    return out


def test_what_the_spec_makes_of_u_passes_and_nothing_else_does():
    guard = Guard(bounded())
    assert np.array_equal(unnormalized(guard), bounded()(U))
    assert guard.step(U, bounded()(U)) == 0
    assert guard.verdict is Verdict.PASS
    for d in range(3):
        guard, wrong = Guard(bounded()), bounded()(U)
        wrong[d] += 1e-12
        assert guard.step(U, wrong) == Fault.MISMATCH
        (found,) = guard.explain(Fault.MISMATCH)
        assert (found.channel, found.value, found.limit) == (str(d), wrong[d], bounded()(U)[d])


def test_rounding_within_the_band_passes():
    guard = Guard(bounded())
    tolerance = guard.contents.column("tolerance")[0]
    meant = bounded()(U)
    assert guard.step(U, meant + 0.9 * tolerance) == 0
    assert guard.step(U, meant - 0.9 * tolerance) == 0
    assert guard.step(U, meant + 1.5 * tolerance) == Fault.MISMATCH


@given(st.data())
def test_an_action_agrees_exactly_if_it_is_within_the_tolerance(data):
    """Whatever the ops and the dtypes, by the short cut or by the ops: as NumPy says of the ops, run literally."""
    made = Unnormalizer(data.draw(op_tables(1)), domain=UNIT_INTERVAL)
    dtypes = data.draw(st.sampled_from([("float32", "float32"), ("float32", "float64"), ("float64", "float64")]))
    try:
        guard = Guard(made, dtype=dtypes, limits=(-1e200, 1e200))
    except GuardError:
        return  # not finite in float32
    u = np.array([data.draw(st.floats(-3, 3, width=32))], dtypes[0])
    meant = float(made(u, dtype="native").astype(dtypes[1])[0])
    allowed = float(guard.contents.column("tolerance")[0, 0]) * max(1.0, abs(float(u[0])))
    a = np.array([meant + data.draw(st.sampled_from([-2.0, -0.9, 0.0, 0.9, 2.0])) * allowed], dtypes[1])
    away = abs(float(a[0]) - meant)
    assume(abs(away - allowed) > 1e-9 * allowed)
    steps = [op for op in made.table()[:, 0] if op["kind"] == OpKind.STEP]
    mismatch = Fault(guard.step(u, a)) & Fault.MISMATCH
    assert not mismatch if away < allowed else (mismatch or steps)


@pytest.mark.parametrize("dtypes", [("float32", "float32"), ("float32", "float64"), ("float64", "float32")])
def test_the_bits_of_every_dtype_pass(dtypes, shared_registry):
    """What a spec returns for u of one dtype, in another: no fault over real keys and many u."""
    rng = np.random.default_rng(0)
    for one in es.open_registry(shared_registry / "openvla").specs:
        guard = Guard(one, dtype=dtypes)
        u = rng.choice(one.domain.points, (200, one.dim)).astype(dtypes[0])
        a = one.unnormalize(u, dtype="native").astype(dtypes[1])
        assert guard.accept(u, a) == 0, one.name
        assert guard.counters.overshoots == 0


def test_every_limit_is_explained_with_its_source():
    guard = Guard(spec(representation=DELTA), jump=0.2, walk=0.6, max_age=0.1, mode="observe", limits=(-0.3, 0.9))
    meant = spec().unnormalize(U)
    assert guard.step(U, meant, 10.0, 10.05) == 0
    assert Fault(guard.step(U, meant, 9.0, 10.0)) == Fault.STALE
    assert str(guard.explain(Fault.STALE)[0]) == ("stale: the call has 1 s, limit 0.1 s (given by the user); step 2")
    u = np.array([-0.9, -0.5, 0.25])
    mask = Fault(guard.step(u, spec().unnormalize(u), 10.0, 10.05))
    assert mask == Fault.ENVELOPE | Fault.JUMP
    envelope, jump = guard.explain(mask)
    assert (envelope.channel, envelope.value, envelope.limit, envelope.unit) == ("x", -0.45, -0.3, "m")
    assert envelope.source == "image of u (255 bin centres) under openvla, within limits given by the user"
    assert jump.value == pytest.approx(0.7)
    assert (jump.limit, jump.source, jump.step) == (0.2, "given by the user", 3)


def test_deltas_that_add_up_walk_out():
    guard = Guard(spec(representation=DELTA), walk=0.6)
    meant = spec().unnormalize(U)  # 0.25 in x
    assert [Fault(guard.step(U, meant)) for _ in range(3)] == [0, 0, Fault.WALK]
    assert guard.explain(Fault.WALK)[0].value == pytest.approx(0.75)
    assert guard.counters.walk.channel == "x"


def test_a_gripper_gives_its_commands_only():
    meant = scripted(es.load_spec(f"{EXAMPLES}/openvla-libero#libero_goal"), CONTROLLERS["libero"])
    guard = Guard(meant)
    u = np.full(7, 0.25)
    a = meant.command(u)
    assert a[6] == 1.0
    assert guard.step(u, a) == 0
    a[6] = 0.0
    assert Fault(guard.step(u, a)) == Fault.MISMATCH | Fault.GRIPPER
    a[6] = -1.0  # a command, and not the one that u means
    assert Fault(guard.step(u, a)) == Fault.MISMATCH


def test_an_overshoot_within_the_margin_passes_and_is_counted():
    high = np.array([1.04, 0.0, 0.0])
    assert Guard(bounded()).step(high, bounded()(high)) == Fault.ENVELOPE
    guard = Guard(bounded(), margin=0.05)
    assert guard.step(high, bounded()(high)) == 0
    assert guard.counters.overshoots == 1
    assert guard.counters.envelope.value == pytest.approx(1.04)
    assert guard.counters.envelope.channel == "0"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["u", "a"])
def test_what_is_not_finite_latches_until_a_reset_names_the_digest(bad, where):
    guard = Guard(bounded(), mode="enforce", relative=True)
    values = {"u": U.copy(), "a": bounded()(U)}
    clean = [U, bounded()(U)]
    values[where][1] = bad
    assert Fault(guard.step(values["u"], values["a"])) & Fault.NOT_FINITE
    assert guard.verdict is Verdict.STOP
    assert Fault(guard.step(*clean)) == Fault.LATCHED
    with pytest.raises(GuardError):
        guard.reset("0" * 64)
    assert guard.verdict is Verdict.STOP or Fault(guard.step(*clean)) == Fault.LATCHED
    guard.reset(guard.contents.digest)
    assert guard.step(*clean) == 0


def test_a_refused_action_is_held():
    guard = Guard(spec(representation=DELTA), mode="enforce")
    meant, out = spec().unnormalize(U), np.empty(3)
    assert guard.step(U, meant) == 0
    assert guard.step(U, meant + 0.1)
    assert guard.verdict is Verdict.HOLD
    assert guard.hold(out)
    assert out.tolist() == [0.0, 0.0, meant[2]]


def test_a_chunk_passes_whole_or_not_at_all():
    one = stepwise(4)
    guard = Guard(one, mode="enforce")
    u = np.linspace(-0.9, 0.9, 8).reshape(4, 2)
    a = one.unnormalize(u)
    assert guard.accept(u, a) == 0
    a[2, 1] += 1e-3
    mask = guard.accept(u, a)
    (found,) = guard.explain(mask)
    assert (found.fault, found.row, found.channel) == (Fault.MISMATCH, 2, "y")
    assert ", row 2" in str(found)
    with pytest.raises(es.ShapeMismatchError):
        guard.step(u[0], a[0])


def test_the_key_that_really_runs_is_named():
    meant, wrong, third = spec(), spec(scale=1.5, key="wrong"), spec(scale=-2.0, key="third")
    guard = Guard(meant, siblings=[wrong, third, replace(wrong, key="twin")])
    assert str(guard.evidence) == "nothing seen yet"
    assert guard.step(U, meant.unnormalize(U)) == 0
    assert guard.evidence.keys == ("ckpt#k",)
    assert not guard.evidence.none
    for k in range(3):
        assert guard.step(U * (1 - k / 10), wrong.unnormalize(U * (1 - k / 10)))
    found = guard.evidence
    assert found.keys == ("ckpt#wrong", "ckpt#twin")
    assert (found.steps, found.segments) == (3, 2)
    assert found.runner_up in ("ckpt#k", "ckpt#third")
    assert found.margin > 1e10
    assert str(found).startswith("ckpt#wrong or ckpt#twin, over 3 steps; ckpt#k is ruled out by")
    guard.step(U, meant.unnormalize(U) + 0.01)
    assert guard.evidence.none
    assert guard.evidence.keys == ()
    assert str(guard.evidence).startswith("none of these keys, over 1 step;")


def test_keys_that_agree_so_far_cannot_be_told_apart():
    """At u = -1 a scale that is taken about the low end does not show."""
    one = bounded()
    two = bounded(high=np.array([0.6, 0.85, 1.0]))
    guard = Guard(one, siblings=[two])
    low = -np.ones(3)
    guard.step(low, one(low))
    assert guard.evidence.keys == ("unnormalizer", "unnormalizer")
    assert guard.evidence.runner_up is None
    guard.step(U, one(U))
    assert len(guard.evidence.keys) == 1


def test_a_warning_is_said_once_for_a_run_of_faults():
    guard = Guard(bounded(), mode="warn", latch=(100, 100))
    wrong = bounded()(U) + 1e-3
    with pytest.warns(es.GuardWarning, match="mismatch: channel 2 has .*, the spec gives .* ULP of float64") as said:
        assert guard.step(U, wrong) == Fault.MISMATCH
    assert said[0].filename == __file__
    assert guard.verdict is Verdict.PASS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        guard.step(U, wrong)
        guard.step(U, bounded()(U))
        with pytest.raises(es.GuardWarning):
            guard.step(U, wrong)


def test_counters_and_explanations_use_names():
    guard = Guard(spec())
    assert guard.explain(Fault.JUMP)[0].step == 0
    assert str(guard.explain(Fault.JUMP)[0]) == "jump: the action is too far from the one before"
    guard.step(U, spec().unnormalize(U) + 1)
    counted = guard.counters
    assert (counted.steps, counted.run, counted.refused) == (1, 1, 0)
    assert counted.faults[Fault.MISMATCH] == counted.faults[Fault.ENVELOPE] == 1
    assert guard.explain(0) == ()


def test_an_image_is_the_guard():
    guard = Guard(spec(), jump=1.0, siblings=[spec(scale=2.0)], limits=(-3, 3))
    for other in (Guard.from_image(guard.image), pickle.loads(pickle.dumps(guard)), copy.deepcopy(guard)):
        assert type(other) is Guard
        assert other.image == guard.image
        assert other.step(U, spec().unnormalize(U)) == 0
        assert other.counters.steps == 1
    assert guard.counters.steps == 0
    assert repr(guard) == "Guard('ckpt#k', mode='observe', stage='command', dim=3)"


def test_what_is_no_image_is_refused():
    image = Guard(bounded()).image
    for bad in (b"", image[:-1], image + b"\0" * 64, b"\0" * len(image), image[:999] + b"?" + image[1000:]):
        with pytest.raises(FormatError):
            Guard.from_image(bad)


def test_the_banner_names_mode_spec_stage_and_every_source():
    text = Guard(spec(representation=DELTA), mode="enforce", jump=0.5, max_age=0.2).banner()
    for words in (
        "ckpt#k", spec(representation=DELTA).digest, "enforce: what has a fault is refused",
        "stage command, float64, of u in float64",
        "at most 0.2 s (given by the user)", "image of u (255 bin centres) under openvla",
        "delta (declared: config.json)",
        "8 ULP of float64, default",
    ):  # fmt: skip
        assert words in text, words
    assert "jump       x, y  given by the user" in text
    assert "jump       grip  not checked (default)" in text
    assert "observe: faults are counted, nothing is refused" in Guard(bounded()).banner()


def test_a_watch_is_told_in_the_banner():
    limits = es.WatchLimits(("j1", "j2"), "rad", position=(-1, [1, 2]), velocity=2, stops=True, acceleration=8)
    text = Guard(bounded(), watch=limits).banner()
    assert "watch of positions: writes a ramp to a stand; age any s" in text
    assert "j2       rad   -1 to 2" in text
    silent = es.WatchLimits(("j1",), velocity=2, order="velocity")
    assert "watch of velocities: gives verdicts, and writes nothing" in Guard(bounded(), watch=silent).banner()


def test_real_episodes_pass_under_their_own_key_alone(shared_registry, shared_trajectories):
    """Robot actions of BridgeData, through the inverse of bridge_orig; a mismatch under each of 24 others."""
    with np.load(shared_trajectories / "bridge" / "octo-debug_dataset" / "bridge_train_actions_states.npz") as data:
        name = next(key for key in data.files if "action" in key)
        actions = np.asarray(data[name], np.float64).reshape(-1, 7)
    keys = {one.key: one for one in es.open_registry(shared_registry / "openvla").specs}
    meant = keys.pop("bridge_orig")
    u = meant.unnormalizer.inverse(actions)
    guard = Guard(meant, margin=1.0, siblings=list(keys.values()))
    for row in u:
        mask = Fault(guard.step(row, meant.unnormalize(row)))
        assert mask in (Fault(0), Fault.ENVELOPE), guard.explain(mask)  # some leave q01 to q99 by more than its width
    assert guard.evidence.keys == (meant.name,)
    assert guard.evidence.steps == len(u)
    for wrong in keys.values():
        found = Guard(meant, margin=1.0)
        assert Fault(found.step(u[0], wrong.unnormalize(u[0]))) & Fault.MISMATCH, wrong.key
