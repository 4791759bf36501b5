import hypothesis
import pytest
from hypothesis import strategies as st

from llmrec_jax.prompts.palr.answers import TitleIndex, filled_up, read_answer, written_titles

NAMES = ['Kettle, large', 'Rug', 'Ruby lamp', 'RUG', 'Tin  opener', "Bob's mug", 'Desk (2)', 'Desk']
INDEX = TitleIndex(NAMES)


@pytest.mark.parametrize(
    ('text', 'titles'),
    [
        ('"Kettle, large", "Rug"', ['Kettle, large', 'Rug']),
        ('Sure! "Rug","Desk".', ['Rug', 'Desk']),
        ('Rug, Desk', ['Rug', 'Desk']),
        # Cut before the last title was whole.
        ('"Rug", "Des', ['Rug']),
        ('', []),
        ('"" , " "', []),
    ],
)
def test_titles_are_what_stands_in_quotes_else_between_commas(text, titles):
    assert written_titles(text) == titles


def test_names_are_found_but_for_case_and_blanks_where_that_tells_them_apart():
    assert INDEX.find('kettle,  LARGE') == 0
    assert INDEX.find('Tin opener') == 4
    assert (INDEX.find('Rug'), INDEX.find('RUG'), INDEX.find('rUG')) == (1, 3, None)
    assert INDEX.find('Desk (2)') == 6
    assert INDEX.find('Lamp') is None
    with pytest.raises(ValueError, match="items 0 and 2 are both called 'a b'"):
        TitleIndex(['a b', 'c', 'a  b'])


def test_what_is_no_candidate_is_invalid_and_what_comes_again_is_repeated():
    answer = read_answer('"Rug", "Lamp", "Desk", "Rug", "Desk (2)"', INDEX, allowed=[1, 6])
    assert (answer.items, answer.written, answer.invalid, answer.repeated) == ((1, 6), 5, 2, 1)
    assert read_answer('"Desk"', INDEX).items == (7,)


def test_a_list_is_filled_up_in_the_retrievers_order():
    assert filled_up([5, 2], [2, 9, 5, 7, 1], 4) == ([5, 2, 9, 7], 2)
    assert filled_up([5, 2, 3], [9], 2) == ([5, 2], 0)
    assert filled_up([], [4], 3) == ([4], 1)


_PIECES = st.sampled_from([*NAMES, '"', ',', ' ', '\n', 'Rug"', '""', '\x00', 'é', '1.'])
_TEXTS = st.one_of(
    st.lists(_PIECES, max_size=30).map(''.join),
    st.binary(max_size=60).map(lambda raw: raw.decode('utf-8', 'replace')),
)


@hypothesis.given(_TEXTS, st.lists(st.integers(0, 7), unique=True), st.integers(1, 10))
def test_whatever_is_written_the_list_is_short_distinct_and_of_candidates(text, candidates, wanted):
    answer = read_answer(text, INDEX, candidates)
    listed, filled = filled_up(answer.items, candidates, wanted)
    assert len(listed) == len(set(listed)) == min(wanted, len(candidates))
    assert set(listed) <= set(candidates)
    assert 0 <= filled <= len(listed)
    assert len(answer.items) + answer.invalid + answer.repeated == answer.written
