"""Names of different lengths as one trie."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmrec_jax.semantic_ids.trie import find_items, name_trie


def test_every_name_is_found_by_its_pieces_its_end_and_padding():
    # The second name begins with the whole of the first.
    trie = name_trie([[5, 6], [5, 6, 7], [9], [30_000, 6]], eos_id=1)
    rows = [[5, 6, 1, 0], [5, 6, 7, 1], [9, 1, 0, 0], [30_000, 6, 1, 0], [5, 6, 0, 0], [9, 1, 1, 0]]
    np.testing.assert_array_equal(jax.jit(find_items)(trie, jnp.array(rows)), [0, 1, 2, 3, -1, -1])


def test_a_wide_vocabulary_makes_no_wide_table():
    random = np.random.default_rng(0)
    digits = random.choice(10**6, 12_000, replace=False)
    trie = name_trie([[1000, 2, *(3 + int(digit) for digit in str(number))] for number in digits])
    assert trie.dense_children == () and trie.n_items == 12_000
    # Ten digits and the end token.
    assert trie.max_branching[:2] == (1, 1) and max(trie.max_branching) <= 11


@pytest.mark.parametrize(
    ('rows', 'message'),
    [
        ([], 'at least one name'),
        ([[5], []], r"item 1 \('b'\) has the pieces \[\]"),
        ([[5], [6, 1, 7]], r"item 1 \('b'\) .* the end token 1"),
        ([[5], [6, 0]], r"item 1 \('b'\) .* the padding 0"),
        ([[5, 6], [7], [5, 6]], r"item 0 \('a'\) and item 2 \('c'\) have the same pieces \[5, 6\]"),
    ],
)
def test_names_that_make_no_trie_are_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        name_trie(rows, names='abc')
