"""Item vectors of another run: of the same catalogue and training events, or refused."""

import numpy as np
import pytest

from llmrec_jax.corpora.splits import RankingCases, Sequences, Splits
from llmrec_jax.runs.run import Run
from llmrec_jax.stages import trained_items
from llmrec_jax.stages.catalogue_file import ShownItems
from llmrec_jax.stages.corpus import CATALOGUE, SPLITS
from llmrec_jax.stages.item_vectors import CO_OCCURRENCE_VECTORS
from llmrec_jax.stages.trained_items import EmbedTrainedItems, TrainedItems

TABLE = np.random.default_rng(0).normal(size=(128, 3)).astype(np.float32)


def prepared(root, events, items=4):
    train = Sequences(np.array(events), np.array([0, 2, len(events)]))
    cases = RankingCases(np.arange(2), train, np.array([1, 1]))
    run = Run(root)
    run.put(SPLITS, Splits(train, cases, cases))
    run.put(CATALOGUE, ShownItems([f'i{n}' for n in range(items)], ['x'] * items, [('x',)] * items))
    return run


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """A workdir whose training is told by a fake record, and its run."""
    params = {'item_encoder': {'embedding': TABLE}}
    monkeypatch.setattr(trained_items, 'load_params', lambda path: params)
    monkeypatch.setattr(trained_items, 'trained_checkpoint', lambda run: 'checkpoints/checkpoint_5')
    return str(prepared(tmp_path / 'sasrec', [0, 1, 2, 3]).root), params


def test_vectors_are_those_of_the_items(tmp_path, trained):
    run = prepared(tmp_path / 'own', [0, 1, 2, 3])
    facts = EmbedTrainedItems(TrainedItems(trained[0])).run(run)
    np.testing.assert_array_equal(run[CO_OCCURRENCE_VECTORS], TABLE[:4])
    assert facts == {'dim': 3, 'checkpoint': 'checkpoints/checkpoint_5'}


@pytest.mark.parametrize(('events', 'items'), [([0, 1, 2, 2], 4), ([0, 1, 2, 3], 5)])
def test_what_learned_from_other_events_or_items_is_refused(tmp_path, trained, events, items):
    run = prepared(tmp_path / 'own', events, items)
    with pytest.raises(ValueError, match='other training events'):
        EmbedTrainedItems(TrainedItems(trained[0])).run(run)


def test_items_without_vectors_of_their_own_are_refused(tmp_path, trained):
    trained[1]['item_encoder'] = {'codes_0': TABLE}
    with pytest.raises(ValueError, match='no table of 4 item vectors'):
        EmbedTrainedItems(TrainedItems(trained[0])).run(prepared(tmp_path / 'own', [0, 1, 2, 3]))
