"""The trie of a catalogue: it holds every item once, finds it again, and narrows to a subset."""

import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrec_jax.semantic_ids.token_layout import TokenLayout
from llmrec_jax.semantic_ids.trie import build_trie, find_child, find_items, restrict


def random_tokens(n_items: int, sizes: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Distinct rows of vocabulary ids in random order."""
    random = np.random.default_rng(seed)
    flat = random.choice(int(np.prod(sizes)), size=n_items, replace=False)
    codes = np.stack(np.unravel_index(flat, sizes), axis=-1)
    return TokenLayout(sizes).item_tokens(codes)


@st.composite
def catalogues(draw):
    sizes = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=4)))
    n_items = draw(st.integers(1, int(np.prod(sizes))))
    return random_tokens(n_items, sizes, draw(st.integers(0, 99))), draw(st.integers(0, len(sizes)))


@settings(max_examples=15, deadline=None)
@given(catalogues())
def test_every_item_is_found_by_its_tokens_and_nothing_else_is(catalogue):
    tokens, dense_levels = catalogue
    trie = build_trie(tokens, dense_levels=dense_levels)
    vocab = int(tokens.max()) + 2
    item_of = {tuple(row): item for item, row in enumerate(tokens.tolist())}
    strangers = np.random.default_rng(1).integers(0, vocab, (50, tokens.shape[1])).astype(np.int32)
    asked = np.concatenate([tokens, strangers])
    np.testing.assert_array_equal(
        jax.jit(find_items)(trie, jnp.asarray(asked)), [item_of.get(tuple(row), -1) for row in asked.tolist()]
    )


@settings(max_examples=15, deadline=None)
@given(catalogues())
def test_nodes_are_the_distinct_prefixes_in_lexicographic_order(catalogue):
    tokens, dense_levels = catalogue
    trie = build_trie(tokens, dense_levels=dense_levels)
    for level in range(trie.levels):
        prefixes, node, counts = np.unique(
            tokens[:, : level + 1], axis=0, return_inverse=True, return_counts=True
        )
        np.testing.assert_array_equal(trie.child_tokens[level], prefixes[:, -1])
        np.testing.assert_array_equal(trie.item_nodes[:, level], node.reshape(-1))
        np.testing.assert_array_equal(trie.leaf_counts[level], counts)
        branching = np.diff(np.asarray(trie.row_offsets[level]))
        assert branching.max() == trie.max_branching[level]
        assert branching.sum() == len(prefixes)


@settings(max_examples=15, deadline=None)
@given(catalogues(), st.integers(0, 99))
def test_a_subset_counts_its_own_items_under_each_node(catalogue, seed):
    tokens, dense_levels = catalogue
    trie = build_trie(tokens, dense_levels=dense_levels)
    allowed = np.random.default_rng(seed).random(len(tokens)) < 0.5
    subset = jax.jit(restrict)(trie, allowed)
    for level in range(trie.levels):
        nodes = np.asarray(trie.item_nodes[:, level])
        expected = np.bincount(nodes[allowed], minlength=len(trie.leaf_counts[level]))
        np.testing.assert_array_equal(subset.leaf_counts[level], expected)


def test_restricting_compiles_once_for_all_subsets():
    trie = build_trie(random_tokens(20, (4, 4, 4)))
    traces = []

    @jax.jit
    def narrow(trie, allowed):
        traces.append(None)
        return restrict(trie, allowed)

    for count in (0, 7, 20):
        assert int(narrow(trie, np.arange(20) < count).leaf_counts[0].sum()) == count
    assert len(traces) == 1


def test_a_walk_that_left_the_trie_does_not_come_back():
    trie = build_trie(np.array([[3, 5], [4, 6]]), dense_levels=1)
    nodes = find_child(trie, 0, jnp.zeros(3, jnp.int32), jnp.array([3, 99, -7]))
    np.testing.assert_array_equal(nodes, [0, -1, -1])
    np.testing.assert_array_equal(find_child(trie, 1, nodes, jnp.array([6, 5, 5])), [-1, -1, -1])


def test_level_ranges_fix_the_shape_of_the_dense_tables():
    tokens = np.array([[4, 20], [5, 21]])
    trie = build_trie(tokens, level_ranges=[(3, 16), (19, 16)])
    assert [table.shape for table in trie.dense_children] == [(1, 16), (2, 16)]
    np.testing.assert_array_equal(find_items(trie, jnp.asarray(tokens)), [0, 1])


def test_items_with_the_same_tokens_are_named():
    tokens = np.array([[3, 9], [4, 9], [5, 9], [4, 9]])
    with pytest.raises(ValueError, match=r'items 1 and 3 have the same tokens \[4, 9\]'):
        build_trie(tokens)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'tokens': []}, 'at least one item'),
        ({'tokens': np.zeros((0, 4), int)}, 'at least one item'),
        ({'tokens': [[], []]}, 'at least one item and one level'),
        ({'tokens': [[3, 4], [3, 4, 5]]}, r'as many tokens as item 0 \(2\), but item 1 has 3'),
        ({'tokens': [[3, 4]], 'dense_levels': -1}, 'dense_levels must not be negative, got -1'),
        ({'tokens': [[3, 4]], 'level_ranges': [(3, 4)]}, '1 level ranges were given for 2 levels'),
        ({'tokens': [[3, 4]], 'level_ranges': [(3, 4), (9, 4)]}, r'token 4 at level 1.*range 9\.\.12'),
    ],
)
def test_a_catalogue_that_makes_no_trie_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        build_trie(**arguments)


def test_a_subset_of_another_catalogue_is_refused():
    trie = build_trie(np.array([[3], [4]]))
    with pytest.raises(ValueError, match='each of 2 items'):
        restrict(trie, np.ones(3, bool))


def test_sequences_of_another_length_are_refused():
    with pytest.raises(ValueError, match='2 levels, the sequences 3 tokens'):
        find_items(build_trie(np.array([[3, 4]])), jnp.zeros((5, 3), jnp.int32))


def test_a_million_items_take_seconds():
    tokens = random_tokens(1_000_000, (256, 256, 64, 4))
    start = time.perf_counter()
    trie = build_trie(tokens)
    assert time.perf_counter() - start < 20
    sample = np.arange(0, 1_000_000, 9973)
    np.testing.assert_array_equal(find_items(trie, jnp.asarray(tokens[sample])), sample)
