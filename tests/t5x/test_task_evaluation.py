"""T5X's own evaluator over registered tasks, at both positions of the switch over seen items."""

import functools

import jax
import numpy as np
import pytest

pytest.importorskip('t5x', reason='T5X is not installed')

import seqio
from flax.core import freeze
from t5x import utils
from t5x.eval import InferenceEvaluator

from llmrec_jax.corpora import prepare
from llmrec_jax.corpora.simulated_shop.source import SimulatedShop
from llmrec_jax.corpora.splits import leave_last_out
from llmrec_jax.decoding.semantic_id_search import SemanticIdSearch
from llmrec_jax.evaluation.evaluator import Evaluator
from llmrec_jax.evaluation.protocol import SEEN_ITEMS, Protocol
from llmrec_jax.evaluation.recommendations import from_dense, from_ranked_lists
from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.sequential.gru import GRUConfig, GRUEncoder
from llmrec_jax.models.sequential.item_encoder import CatalogueFacts, ItemTable
from llmrec_jax.models.sequential.losses import FullSoftmax
from llmrec_jax.models.sequential.recommender_model import SequentialRecommenderModel
from llmrec_jax.models.t5 import T5Config, Transformer
from llmrec_jax.semantic_ids.code_table import CodeTable
from llmrec_jax.semantic_ids.token_layout import TokenLayout, encode_histories
from llmrec_jax.semantic_ids.trie import build_trie
from llmrec_jax.t5x.partitioner import MeshPartitioner
from llmrec_jax.training.mesh import STANDARD_RULES, MeshShape
from tasks.sequential import SequentialTask
from tasks.tiger import TigerTask
from tests.drawn_parameters import drawn

SHOP = SimulatedShop(size='tiny')
MAX_ITEMS, KS = 4, (5, 10)


@pytest.fixture(scope='module')
def corpus(tmp_path_factory):
    """The folder of the data, the corpus and its test cases."""
    folder = tmp_path_factory.mktemp('shop')
    found = prepare.load_corpus(prepare.prepare(SHOP, folder / 'data'))
    return folder, found, leave_last_out(found).test


def by_t5x(model, name, lengths, shapes, **evaluator):
    """The parameters that were drawn, and T5X's metrics of the test split with them."""
    partitioner = MeshPartitioner(MeshShape(data=4, model=2), STANDARD_RULES)
    inference = InferenceEvaluator(
        utils.DatasetConfig(name, lengths, 'test', batch_size=64, shuffle=False, seed=0),
        functools.partial(seqio.Evaluator, **evaluator),
        model,
        partitioner,
    )
    initializer = utils.TrainStateInitializer(None, model.get_initial_variables, shapes, partitioner)
    params = drawn(model, shapes)
    state = initializer.from_scratch(jax.random.PRNGKey(0)).replace_params(freeze(params))
    metrics = inference.evaluate(state, initializer.train_state_axes).result()
    inference.close()
    return params, metrics[name]


def judged(recommendations, cases, seen_items):
    protocol = Protocol(split='test', seen_items=seen_items, ks=KS)
    return Evaluator(protocol).judge('model', recommendations, cases, 1.0).metrics


@pytest.mark.parametrize('seen_items', SEEN_ITEMS)
def test_a_sequential_model_is_evaluated_as_the_library_evaluates_it(corpus, seen_items):
    folder, found, cases = corpus
    task = SequentialTask(SHOP, str(folder / 'data'), MAX_ITEMS, KS)
    model = SequentialRecommenderModel(
        ItemTable(8, init_stddev=0.5),
        GRUEncoder(GRUConfig(8)),
        FullSoftmax(),
        list_length=max(KS) + 1,
        seen_items=seen_items,
    ).for_catalogue(CatalogueFacts(len(found.items)))
    shapes = {'items': (64, MAX_ITEMS + 1)}
    params, metrics = by_t5x(model, task.register(), task.feature_lengths, shapes, target_field_name='items')

    items, lengths = cases.histories.last(MAX_ITEMS)
    right = np.where(np.arange(MAX_ITEMS) < lengths[:, None], items + 1, 0)
    histories = model.convert_features({'items': right})['items']
    scores = np.array(jax.jit(model.scores)(params, jax.numpy.asarray(histories)))[:, : model.n_items]
    if seen_items == 'removed':
        for row in range(len(cases)):
            scores[row, cases.histories[row]] = -np.inf
    expected = judged(from_dense(scores, cases.target, max(KS)), cases, seen_items)
    assert metrics == {name: expected[name] for name in metrics}
    assert metrics['recall@10'] > 0


@pytest.mark.parametrize('seen_items', SEEN_ITEMS)
def test_tiger_leaves_out_what_was_seen_as_the_library_does(corpus, seen_items):
    folder, found, cases = corpus
    codes = np.stack(np.divmod(np.arange(len(found.items)), 16), axis=1).astype(np.int32)
    sizes = (int(codes[:, 0].max()) + 1, 16)
    table = CodeTable(codes, sizes, {})
    table.save(folder / 'table.npz')
    layout = TokenLayout(sizes, user_tokens=0)
    path = str(folder / 'table.npz')
    task = TigerTask(SHOP, str(folder / 'data'), path, layout, MAX_ITEMS, KS)
    ranges = tuple(zip(layout.level_offsets, sizes, strict=True))
    model = EncoderDecoderModel(
        Transformer(T5Config(layout.vocab_size, 16, 2, 8, 32, 1, 1, dropout_rate=0.0)),
        decode_fn=SemanticIdSearch(beam_size=max(KS)),
        trie=build_trie(layout.item_tokens(codes), level_ranges=ranges),
        seen_items=seen_items,
    )
    shapes = {'encoder_input_tokens': (64, MAX_ITEMS * 2), 'decoder_input_tokens': (64, 2)}
    params, metrics = by_t5x(model, task.register(), task.feature_lengths, shapes)

    users = [found.users.user_id[user] for user in cases.user]
    histories = [cases.histories[row] for row in range(len(cases))]
    inputs = np.zeros((len(cases), MAX_ITEMS * 2), np.int32)
    for row, tokens in zip(inputs, encode_histories(users, histories, table, layout, MAX_ITEMS), strict=True):
        row[: len(tokens)] = tokens
    seen, _ = cases.histories.last(int(cases.histories.lengths.max()))
    filters = {'seen': jax.numpy.asarray(seen, jax.numpy.int32)} if seen_items == 'removed' else {}
    batch = model.convert_features({'inputs': inputs})
    beams = jax.jit(model.recommend)(params, batch, model.trie, **filters)
    lists = from_ranked_lists(np.asarray(beams.items), np.asarray(beams.scores, np.float64), cases.target)
    expected = judged(lists, cases, seen_items)
    assert metrics == {name: expected[name] for name in metrics}


def test_items_of_another_catalogue_stop_the_input(corpus):
    folder, found, _ = corpus
    task = SequentialTask(SHOP, str(folder / 'data'), MAX_ITEMS)
    model = SequentialRecommenderModel(ItemTable(8), GRUEncoder(GRUConfig(8)), FullSoftmax())
    smaller = model.for_catalogue(CatalogueFacts(len(found.items) - 1))
    dataset = seqio.get_dataset(
        task.register(),
        task_feature_lengths=task.feature_lengths,
        dataset_split='train',
        feature_converter=smaller.FEATURE_CONVERTER_CLS(pack=False),
        shuffle=False,
    )
    with pytest.raises(Exception, match='another corpus'):
        list(dataset.as_numpy_iterator())
