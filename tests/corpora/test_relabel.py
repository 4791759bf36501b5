import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from llmrec_jax.corpora.raw_events import relabel
from llmrec_jax.corpora.sequence_files import SequenceFiles
from llmrec_jax.corpora.splits import Splits, leave_last_out
from tests.corpora.test_splits import corpus_of, ragged
from tests.shared_data import shared_data


def named_histories(corpus) -> dict[str, list[str]]:
    offsets = corpus.user_offsets
    return {
        user_id: [corpus.items.item_id[item] for item in corpus.events.item[offsets[row] : offsets[row + 1]]]
        for row, user_id in enumerate(corpus.users.user_id)
    }


@given(ragged, st.integers(0, 99))
def test_relabelling_is_a_bijection_that_keeps_every_sequence(histories, seed):
    corpus = corpus_of(histories)
    moved = relabel(corpus, seed)
    assert sorted(moved.items.item_id) == sorted(corpus.items.item_id)
    assert sorted(moved.users.user_id) == sorted(corpus.users.user_id)
    assert named_histories(moved) == named_histories(corpus)
    assert moved.provenance['relabel_seed'] == seed


def test_a_seed_gives_one_order_and_none_keeps_the_rows():
    corpus = corpus_of([[0, 1, 2, 3], [4, 5, 6]])
    assert relabel(corpus, 3).fingerprint() == relabel(corpus, 3).fingerprint()
    assert relabel(corpus, 3).fingerprint() != relabel(corpus, 4).fingerprint()
    kept = relabel(corpus, None)
    assert kept.fingerprint() == corpus.fingerprint()
    assert kept.provenance['relabel_seed'] is None


def ndcg_at_5_of_the_next_ids(splits: Splits, n_items: int) -> float:
    """The score of the rule that recommends the history's largest id plus 1, plus 2, ... (the P5 leak)."""
    histories = splits.test.histories
    largest = np.maximum.reduceat(histories.values, histories.offsets[:-1])
    rank = (splits.test.target - largest) % n_items
    return float(np.where((rank >= 1) & (rank <= 5), 1 / np.log2(rank + 1.0), 0).mean())


@pytest.mark.slow
def test_beautys_published_ids_give_the_next_item_away_and_relabelled_ids_do_not():
    published = SequenceFiles(str(shared_data('amazon-beauty')), relabel_seed=None).build()
    leaking = ndcg_at_5_of_the_next_ids(leave_last_out(published), len(published.items))
    assert abs(leaking - 0.0447) < 0.0005
    relabelled = relabel(published, 0)
    assert ndcg_at_5_of_the_next_ids(leave_last_out(relabelled), len(relabelled.items)) < 0.001
