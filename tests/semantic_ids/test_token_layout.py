import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrec_jax.semantic_ids.token_layout import TokenLayout

layouts = st.builds(
    TokenLayout,
    st.lists(st.integers(1, 9), min_size=1, max_size=4).map(tuple),
    st.integers(0, 7),
    st.sampled_from([1, 8, 128]),
)


@given(layouts)
def test_the_vocabulary_is_laid_out_without_gap_or_overlap(layout):
    ranges = [range(3)]
    for offset, size in zip(layout.level_offsets, layout.codebook_sizes, strict=True):
        ranges.append(range(offset, offset + size))
    ranges.append(range(layout.user_offset, layout.user_offset + layout.user_tokens))
    assert [token for part in ranges for token in part] == list(range(layout.n_tokens))
    assert layout.vocab_size % layout.multiple_of == 0
    assert 0 <= layout.vocab_size - layout.n_tokens < layout.multiple_of
    assert len(layout.token_texts()) == layout.n_tokens


def test_the_paper_sizes():
    layout = TokenLayout((256,) * 4)
    assert layout.level_offsets == (3, 259, 515, 771)
    assert layout.user_offset == 1027
    assert layout.vocab_size == 3072


def test_items_to_tokens_and_back():
    layout = TokenLayout((4, 3, 2))
    codes = np.random.default_rng(0).integers(0, (4, 3, 2), (5, 6, 3))
    tokens = layout.item_tokens(codes)
    assert tokens.dtype == np.int32
    assert tokens[0, 0].tolist() == (codes[0, 0] + np.array([3, 7, 10])).tolist()
    np.testing.assert_array_equal(layout.item_codes(tokens), codes)
    assert layout.item_codes(np.array([3, 3, 12])).tolist() == [0, -1, -1]


@pytest.mark.parametrize('codes', [[4, 0, 0], [-1, 0, 0], [0, 0]])
def test_codes_outside_the_layout(codes):
    with pytest.raises(ValueError, match='do not fit'):
        TokenLayout((4, 3, 2)).item_tokens(np.array(codes))


def test_user_token_is_crc32_in_every_process():
    layout = TokenLayout((256,) * 4)
    # crc32('123456789') is the checksum's published check value.
    assert layout.user_token('123456789') == 1027 + 0xCBF43926 % 2000
    program = (
        'from llmrec_jax.semantic_ids.token_layout import TokenLayout;'
        "print([TokenLayout((256,) * 4).user_token(user) for user in ('A1YJEY40YUW4SE', 'é')])"
    )
    outputs = {
        subprocess.run(
            [sys.executable, '-c', program],
            env={'PYTHONHASHSEED': seed, 'PATH': ''},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ('1', '2')
    }
    assert outputs == {f'{[layout.user_token(user) for user in ("A1YJEY40YUW4SE", "é")]}\n'}


def test_without_user_tokens():
    with pytest.raises(ValueError, match='no user tokens'):
        TokenLayout((4,), user_tokens=0).user_token('anyone')


@pytest.mark.parametrize(
    ('sizes', 'users', 'multiple'), [((), 1, 1), ((0,), 1, 1), ((4,), -1, 1), ((4,), 1, 0)]
)
def test_senseless_layouts(sizes, users, multiple):
    with pytest.raises(ValueError):
        TokenLayout(sizes, users, multiple)
