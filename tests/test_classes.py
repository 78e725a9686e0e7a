"""Classes against SciPy's complete linkage, and what must hold of any partition."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from execspec_fast.classes import equivalence_classes
from execspec_fast.conventions import Conventions, declared
from execspec_fast.domain import Domain
from execspec_fast.errors import ExecSpecError
from execspec_fast.matrix import drift_matrix
from execspec_fast.sample import ActionSample
from execspec_fast.unnormalizer import Unnormalizer
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform


@dataclass
class Spec:
    map: Unnormalizer
    conventions: Conventions = field(default_factory=Conventions)


def keys(widths):
    """On the sample `ONE`, keys of one channel are points on a line, their drifts the distances."""
    return [Unnormalizer.from_bounds([-w], [w]) for w in widths]


ONE = [[1.0]]


def random_keys(rng, count, dim=3):
    return [Unnormalizer.from_bounds(*np.sort(rng.normal(size=(2, dim)), axis=0)) for _ in range(count)]


@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.sampled_from(["mean", "max"]), st.integers(1, 50))
def test_classes_are_those_of_scipy(seed, count, metric, tile):
    rng = np.random.default_rng(seed)
    specs, u = random_keys(rng, count), rng.uniform(-1, 1, (20, 3))
    matrix = drift_matrix(specs, u, metric)
    matrix = matrix.max(axis=-1) if matrix.ndim == 3 else matrix
    tree = linkage(squareform(matrix, checks=False), "complete")
    for height in rng.choice(tree[:, 2], 3):
        eps = float(height)
        found = equivalence_classes(specs, u, metric, eps, tile=tile)
        want = fcluster(tree, eps, "distance")
        np.testing.assert_array_equal(found.label[:, None] == found.label, want[:, None] == want)
        for members, diameter in zip(found.members, found.diameter, strict=True):
            assert diameter == matrix[np.ix_(members, members)].max() <= eps


def test_closeness_is_not_transitive():
    found = equivalence_classes(keys([0.0, 1.0, 2.0, 3.5]), ONE, eps=1.6)
    assert found.members == ((0, 1), (2, 3))
    assert found.diameter.tolist() == [1.0, 1.5]
    assert found.label.tolist() == [0, 0, 1, 1]
    assert str(found) == "4 keys in 2 classes, 0 of one key; mean within a class at most 1.5 (eps 1.6)"


def test_every_key_is_in_one_class_and_ties_go_to_the_smaller_index():
    found = equivalence_classes(keys([4.0, 1.0, 2.0, 3.0, 9.0]), ONE, eps=1.0)
    assert found.members == ((0, 3), (1, 2), (4,))
    assert equivalence_classes(keys([1.0]), ONE).members == ((0,),)


def test_eps_zero_joins_what_the_sample_cannot_tell_apart():
    same_here = Unnormalizer.from_bounds([-3.0], [2.0])  # 2 at u = 1, as the key of width 2 is
    found = equivalence_classes([*keys([1.0, 2.0, 1.0, np.nextafter(1.0, 2)]), same_here], ONE)
    assert found.members == ((0, 2), (1, 4), (3,))
    assert found.diameter.tolist() == [0.0, 0.0, 0.0]


def test_eps_infinite_joins_all_whose_drift_is_finite():
    found = equivalence_classes(keys([1.0, 5.0, 1e30, 2.0]), ONE, eps=np.inf)
    assert found.members == ((0, 1, 2, 3),)
    assert found.diameter[0] == pytest.approx(1e30)
    assert equivalence_classes(keys([1.0, 2.0, 1.0]), ONE, "worst_case", np.inf).members == ((0, 2), (1,))


def test_conflicting_conventions_never_share_a_class():
    frames = [Conventions(frame=declared(name, "test")) for name in ("base", "tool")]
    one, near = keys([1.0, 1.1])
    specs = [Spec(one, frames[0]), Spec(one, frames[1]), Spec(one), Spec(near, frames[0]), Spec(one, frames[1])]
    found = equivalence_classes(specs, ONE, eps=np.inf)
    for members in found.members:
        assert not {0, 3} & set(members) or not {1, 4} & set(members)
    assert equivalence_classes(specs[:2], ONE, eps=np.inf).members == ((0,), (1,))


def test_keys_without_any_drift_stay_alone():
    constant = Unnormalizer.from_bounds([1.0], [1.0])
    sample = ActionSample.from_physical(ONE, constant)
    assert equivalence_classes([constant] * 3, sample, eps=np.inf).members == ((0,), (1,), (2,))


def test_the_larger_direction_counts():
    wide, narrow = Domain(-1.0, 1.0), Domain(-0.1, 0.1)
    a, b = (Unnormalizer(f.table(), domain=d) for f, d in zip(keys([1.0, 2.0]), (wide, narrow), strict=True))
    for specs in ([a, b], [b, a]):
        assert equivalence_classes(specs, ONE, "worst_case", 0.5).members == ((0,), (1,))
        assert equivalence_classes(specs, ONE, "worst_case", 1.0, tile=1).diameter.tolist() == [1.0]
    samples = [ActionSample([[0.1]]), ActionSample([[1.0]])]
    assert equivalence_classes([a, a], samples).members == ((0, 1),)
    assert equivalence_classes([a, b], samples, eps=0.5).members == ((0,), (1,))


@given(st.lists(st.sampled_from([0.5, 1.0, 1.5, 2.0, 7.0]), min_size=1, max_size=9), st.integers(1, 9))
def test_copies_and_tiles_change_no_class(widths, tile):
    specs = keys(widths)
    apart = [Unnormalizer(f.table(), domain=Domain(name=str(k))) for k, f in enumerate(specs)]  # no two the same
    found = equivalence_classes(specs, ONE, eps=0.5)
    for other in (equivalence_classes(specs, ONE, eps=0.5, tile=tile), equivalence_classes(apart, ONE, eps=0.5)):
        assert all(len(set(np.array(widths)[list(m)])) <= 2 for m in other.members)
        assert other.diameter.max() <= 0.5
    assert equivalence_classes(specs, ONE, eps=0.5, tile=tile).members == found.members


def test_copies_cost_no_pairs(monkeypatch):
    monkeypatch.setattr("execspec_fast.classes.LARGEST", 2)
    monkeypatch.setattr("execspec_fast.classes.PAIRS", 1)
    found = equivalence_classes(keys([1.0, 2.0] * 500), ONE, eps=1.0)
    assert list(map(len, found.members)) == [1000]


def test_what_memory_cannot_hold_is_refused_with_its_size(monkeypatch):
    monkeypatch.setattr("execspec_fast.classes.LARGEST", 3)
    assert len(equivalence_classes(keys([1.0, 1.5, 2.0, 9.0, 9.5]), ONE, eps=0.5).members) == 3
    with pytest.raises(ExecSpecError, match="connect 4 different keys, more than the 3"):
        equivalence_classes(keys([1.0, 1.5, 2.0, 2.5]), ONE, eps=0.5)
    monkeypatch.setattr("execspec_fast.classes.PAIRS", 2)
    with pytest.raises(ExecSpecError, match="more than 2 pairs of 3 different keys"):
        equivalence_classes(keys([1.0, 1.1, 1.2]), ONE, eps=0.5)


@pytest.mark.parametrize("eps", [-1.0, np.nan])
def test_a_distance_is_no_less_than_zero(eps):
    with pytest.raises(ExecSpecError, match=f"eps {eps}"):
        equivalence_classes(keys([1.0]), ONE, eps=eps)
