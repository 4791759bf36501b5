"""The task's examples, against the splits and nothing of SeqIO."""

import dataclasses

import jax
import numpy as np
import pytest
import seqio
from jax.sharding import NamedSharding, PartitionSpec

from llmrec_jax.corpora import prepare
from llmrec_jax.corpora.simulated_shop.source import SimulatedShop
from llmrec_jax.corpora.splits import leave_last_out
from llmrec_jax.evaluation.evaluator import Evaluator
from llmrec_jax.evaluation.protocol import Protocol
from llmrec_jax.models.sequential.item_encoder import CatalogueFacts, ItemTable
from llmrec_jax.models.sequential.losses import FullSoftmax
from llmrec_jax.models.sequential.recommender_model import SequentialRecommenderModel
from llmrec_jax.models.sequential.sasrec import SASRecConfig, SASRecEncoder
from llmrec_jax.stages.catalogue_ranking import CatalogueRecommender
from llmrec_jax.stages.materialise import materialise
from llmrec_jax.training.mesh import STANDARD_RULES, MeshShape
from tasks.ranking_metrics import recall_and_ndcg_of_items
from tasks.sequential import SequentialTask
from tests.drawn_parameters import drawn

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


def test_a_name_stands_for_one_task(shop):
    _, task, name = shop
    assert task.register() == name
    assert dataclasses.replace(task, max_items=MAX_ITEMS + 1).register() != name
    with pytest.raises(ValueError, match=name):
        dataclasses.replace(task, ks=(3,)).register()


@pytest.mark.parametrize('seen_items', ['kept', 'removed'])
def test_seqio_s_evaluator_gives_the_library_s_own_numbers(shop, seen_items):
    corpus, task, name = shop
    facts = CatalogueFacts(len(corpus.items))
    model = SequentialRecommenderModel(
        ItemTable(8, init_stddev=0.3),
        SASRecEncoder(SASRecConfig(max_length=MAX_ITEMS, num_layers=1)),
        FullSoftmax(),
        list_length=11,
        seen_items=seen_items,
    ).for_catalogue(facts)
    params = drawn(model, {})
    mesh = MeshShape(data=8).build()
    placed = jax.device_put(params, NamedSharding(mesh, PartitionSpec()))
    recommender = CatalogueRecommender(model, placed, mesh, STANDARD_RULES, MAX_ITEMS, batch_size=16)
    protocol = Protocol(split='test', seen_items=seen_items, ks=(5, 10))
    cases = leave_last_out(corpus).test
    expected = Evaluator(protocol).evaluate('sasrec', recommender, cases)

    predict = jax.jit(model.predict_batch_with_aux)

    def predictions(dataset, **_):
        numbers, tokens, aux = [], [], {}
        for rows, batch in dataset.batch(50).as_numpy_iterator():
            found, beside = predict(params, batch)
            numbers += rows.tolist()
            tokens += np.asarray(found).tolist()
            for field, values in beside.items():
                aux.setdefault(field, []).extend(np.asarray(values).tolist())
        return list(zip(numbers, tokens, strict=True)), aux

    evaluator = seqio.Evaluator(
        name,
        model.FEATURE_CONVERTER_CLS(pack=False),
        eval_split='test',
        sequence_length=task.feature_lengths,
        target_field_name='items',
    )
    results, _ = evaluator.evaluate(compute_metrics=True, predict_with_aux_fn=predictions)
    (found,) = results.result().values()
    assert set(found) == {'recall@5', 'ndcg@5', 'recall@10', 'ndcg@10'}
    assert found == {metric: expected.metrics[metric] for metric in found}
    assert found['recall@10'] > 0


def test_ties_count_against_the_target_and_short_lists_are_refused():
    metric = recall_and_ndcg_of_items((2,))
    # Best last; the target ties with the item after it.
    aux = {'items': [[3, 1, 2]], 'scores': [[0.0, 1.0, 1.0]]}
    assert metric(targets=[1], predictions=[[4, 2, 3]], aux_values=aux)['recall@2'] == 1
    aux['scores'] = [[1.0, 1.0, 1.0]]
    assert metric(targets=[1], predictions=[[4, 2, 3]], aux_values=aux)['recall@2'] == 0
    with pytest.raises(ValueError, match='list_length'):
        recall_and_ndcg_of_items((4,))(targets=[1], predictions=[[4, 2, 3]], aux_values=aux)
