"""JSON that no ecosystem writes, for tests that a reader refuses it in words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from execspec_fast.formats.published import Checkpoint
from hypothesis import strategies as st

NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**70), 2**70)


def values(words: Sequence[str]) -> st.SearchStrategy[Any]:
    """Any JSON value, its strings and keys mostly from the words a reader looks for."""
    names = st.sampled_from(words) | st.text(max_size=2)
    return st.recursive(
        st.none() | st.booleans() | NUMBERS | names | st.lists(NUMBERS, max_size=3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
        max_leaves=10,
    )


def says_it_in_words(checkpoint: Checkpoint | None) -> bool:
    """Whether all that was found can be reported as strict JSON."""
    parts = [*checkpoint.findings, *checkpoint.files] if checkpoint else []
    parts += [fact for key in (checkpoint.keys if checkpoint else ()) for fact in (key.profile, key.conventions)]
    return bool(json.dumps([part.to_dict() for part in parts], allow_nan=False))
