"""The task's examples, against the splits and nothing of SeqIO."""

import pytest
import seqio

from llmrec_jax.corpora import prepare
from llmrec_jax.corpora.simulated_shop.source import SimulatedShop
from llmrec_jax.corpora.splits import leave_last_out
from llmrec_jax.stages.materialise import materialise
from tasks.sequential import SequentialTask

MAX_ITEMS = 4


@pytest.fixture(scope='module')
def shop(tmp_path_factory):
    data_dir = str(tmp_path_factory.mktemp('sequential'))
    task = SequentialTask(SimulatedShop(size='tiny'), data_dir, MAX_ITEMS)
    corpus = prepare.load_corpus(prepare.prepare(task.corpus, data_dir))
    return corpus, task, task.register()


@pytest.mark.parametrize('split', ['train', 'validation', 'test'])
def test_an_example_is_a_whole_history_that_ends_in_the_split_s_target(shop, split, tmp_path):
    corpus, task, name = shop
    splits = leave_last_out(corpus)
    if split == 'train':
        histories = [splits.train[user] for user in range(len(splits.train))]
        expected = {
            user: (items[-MAX_ITEMS - 1 :] + 1).tolist()
            for user, items in enumerate(histories)
            if len(items) > 1
        }
    else:
        part = getattr(splits, split)
        expected = {
            int(part.user[row]): [*(part.histories[row][-MAX_ITEMS:] + 1).tolist(), part.target[row] + 1]
            for row in range(len(part))
        }
    lengths, kept = task.feature_lengths, ('user', 'target_item')
    store = materialise(name, split, tmp_path / split, feature_lengths=lengths, kept=kept, provenance={})
    rows = [store[row] for row in range(len(store))]
    assert {int(row['user'][0]): row['items'].tolist() for row in rows} == expected
    assert all(row['items'][-1] == row['target_item'][0] + 1 for row in rows)


def test_its_vocabulary_is_the_catalogue_and_padding(shop):
    corpus, _, name = shop
    feature = seqio.get_mixture_or_task(name).output_features['items']
    assert feature.vocabulary.vocab_size == len(corpus.items) + 1
    with pytest.raises(ValueError, match='max_items=0 must be at least 1'):
        SequentialTask(SimulatedShop(size='tiny'), 'data', 0)
