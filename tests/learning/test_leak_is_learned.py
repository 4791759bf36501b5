"""The leak of sequential ids, learned by a network (P5's ids; papers: 'honest small-machine test').

Purchases are uniform random, so that nothing but the names can tell what comes next. That rules which know
the names alone find the same is tested without a network in tests/evaluation/test_id_leak.py.
"""

import numpy as np
import pytest
from scipy import stats

from llmrec_jax.decoding.name_search import NameSearch
from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.t5.config import T5Config
from llmrec_jax.models.t5.transformer import Transformer
from llmrec_jax.prompts.array_ops import NUMPY
from llmrec_jax.prompts.naming.numbers import RandomNumbers, SequentialNumbers
from llmrec_jax.prompts.p5.data import P5
from llmrec_jax.prompts.p5.groups import TEMPLATES, P5Prompts
from llmrec_jax.prompts.records.words import tables_for
from llmrec_jax.semantic_ids.trie import name_trie
from llmrec_jax.text.vocabulary_sources import TrainedVocabulary
from llmrec_jax.training.columns import write_columns
from llmrec_jax.training.early_stopping import BestMetric
from llmrec_jax.training.optimizers import AdamW
from llmrec_jax.training.schedules import WarmupCosine
from llmrec_jax.training.trainer import Trainer
from tests.prompts.corpora import corpus_of

USERS, ITEMS, EVENTS, K = 600, 4000, 5, 10
STEPS = 400
GROUP = 'sequential_next_item'
VOCABULARY = TrainedVocabulary(304, extra_ids=0, digits_per_token=1, symbols=('▁item_', '▁user_'))
LENGTHS = {'inputs': 40, 'targets': 8}


def _data(naming):
    rng = np.random.default_rng(0)
    purchases = [rng.permutation(ITEMS)[:EVENTS].tolist() for _ in range(USERS)]
    corpus = corpus_of(purchases, [f'title {row}' for row in range(ITEMS)])
    template = next(template for template in TEMPLATES if template.id == '2-3')
    prompts = P5Prompts(max_history=2, candidates=2, templates=(template,))
    return P5(prompts=prompts, item_naming=naming).build(corpus)


def _hits(naming, workdir) -> int:
    """Test cases whose target is among the `K` best names, of a network trained from scratch."""
    data = _data(naming)
    tables = tables_for(NUMPY, data.tables)
    group, records = data.training_groups[GROUP], data.records['train'][GROUP]
    examples = [
        example for epoch in range(2) for example in group.examples(records, tables, seed=0, epoch=epoch)
    ]
    vocabulary = VOCABULARY.make_at(
        workdir, [text for example in examples for text in (example['inputs'], example['targets'])]
    )

    def tokens(text):
        return np.asarray([*vocabulary.encode(text), vocabulary.eos_id])

    store = write_columns(
        workdir / 'examples',
        {name: [tokens(example[name]) for example in examples] for name in LENGTHS},
        provenance={},
    )
    config = T5Config(
        vocab_size=VOCABULARY.size,
        emb_dim=64,
        num_heads=4,
        head_dim=16,
        mlp_dim=256,
        num_encoder_layers=2,
        num_decoder_layers=2,
        dropout_rate=0.0,
    )
    model = EncoderDecoderModel(module=Transformer(config), decode_fn=NameSearch(beam_size=K))
    trie = name_trie([vocabulary.encode(name) for name in data.tables['item']])
    asked = list(data.evaluation_groups[GROUP].examples(data.records['test'][GROUP], tables, seed=0))
    inputs = [tokens(example['inputs']) for example in asked]
    padded = np.stack([np.pad(row, (0, LENGTHS['inputs'] - len(row))) for row in inputs])
    targets = np.asarray([example['item'] for example in asked])

    def count_hits(params, step):
        found = model.recommend(params, {'encoder_input_tokens': padded}, trie)
        assert np.asarray(found.valid).all()
        return {'hits': int((np.asarray(found.items) == targets[:, None]).any(axis=1).sum())}

    trained = Trainer(
        steps=STEPS,
        feature_lengths=LENGTHS,
        optimizer=AdamW(WarmupCosine(3e-3, 50, STEPS)),
        batch_size=64,
        validate_every=STEPS,
        checkpoint_every=STEPS,
        best_metric=BestMetric(name='hits'),
    ).fit(model, store, workdir, count_hits)
    return trained.best_value


@pytest.mark.slow
def test_a_small_t5_learns_where_sequential_ids_run_and_nothing_from_random_ones(tmp_path):
    # A blind draw has `K` of the items that the user has not had before.
    chance = K / (ITEMS - EVENTS + 1)
    sequential = _hits(SequentialNumbers(), tmp_path / 'sequential')
    random = _hits(RandomNumbers(), tmp_path / 'random')
    assert stats.binomtest(int(sequential), USERS, chance, alternative='greater').pvalue < 1e-6
    assert sequential > 5 * chance * USERS
    assert stats.binomtest(int(random), USERS, chance, alternative='greater').pvalue > 1e-3
