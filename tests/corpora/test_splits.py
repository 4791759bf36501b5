import hypothesis.strategies as st
import numpy as np
from hypothesis import given

from llmrec_jax.corpora.corpus import Corpus, Events, Items, Users
from llmrec_jax.corpora.splits import RankingCases, Sequences, leave_last_out

CATALOGUE = 7
ragged = st.lists(st.lists(st.integers(0, CATALOGUE - 1), max_size=6), max_size=6)


def corpus_of(histories: list[list[int]]) -> Corpus:
    lengths = [len(history) for history in histories]
    total = sum(lengths)
    names = [str(item) for item in range(CATALOGUE)]
    blank = [''] * CATALOGUE
    return Corpus(
        'test/ragged',
        Items(names, names, blank, [()] * CATALOGUE, blank, np.full(CATALOGUE, np.nan)),
        Users([str(user) for user in range(len(histories))], [''] * len(histories)),
        Events(
            np.repeat(np.arange(len(histories)), lengths),
            np.asarray([item for history in histories for item in history], np.int64),
            np.asarray([at for length in lengths for at in range(length)], np.int64),
            np.full(total, np.nan),
            [''] * total,
            [''] * total,
        ),
        {},
    )


def sequences_of(rows: list[list[int]]) -> Sequences:
    values = np.asarray([item for row in rows for item in row], np.int64)
    return Sequences(values, np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64))


def lists_of(sequences: Sequences) -> list[list[int]]:
    return [sequences[row].tolist() for row in range(len(sequences))]


@given(ragged)
def test_leave_last_out_gives_each_part_its_items_and_no_other(histories):
    splits = leave_last_out(corpus_of(histories))
    evaluated = [user for user, history in enumerate(histories) if len(history) >= 3]
    assert lists_of(splits.train) == [
        history[:-2] if user in evaluated else history for user, history in enumerate(histories)
    ]
    assert splits.validation.user.tolist() == splits.test.user.tolist() == evaluated
    assert lists_of(splits.validation.histories) == [histories[user][:-2] for user in evaluated]
    assert splits.validation.target.tolist() == [histories[user][-2] for user in evaluated]
    assert lists_of(splits.test.histories) == [histories[user][:-1] for user in evaluated]
    assert splits.test.target.tolist() == [histories[user][-1] for user in evaluated]


@given(ragged, st.integers(1, 8))
def test_last_is_the_end_of_each_row_padded_on_the_right(rows, length):
    items, counts = sequences_of(rows).last(length)
    assert items.shape == (len(rows), length)
    for row, padded, count in zip(rows, items.tolist(), counts.tolist()):
        ends = row[-length:]
        assert count == len(ends)
        assert padded == ends + [-1] * (length - len(ends))


@given(st.data(), ragged.filter(bool))
def test_select_takes_cases_in_the_order_asked_for(data, rows):
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=8))
    cases = RankingCases(np.arange(len(rows)) + 10, sequences_of(rows), np.arange(len(rows)) + 20)
    selected = cases.select(np.asarray(chosen, np.int64))
    assert len(selected) == len(chosen)
    assert selected.user.tolist() == [row + 10 for row in chosen]
    assert selected.target.tolist() == [row + 20 for row in chosen]
    assert lists_of(selected.histories) == [rows[row] for row in chosen]
