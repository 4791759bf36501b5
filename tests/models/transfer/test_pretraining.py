import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.linen import partitioning

from llmrec_jax.models.transfer.adaptors import MixtureAdaptor
from llmrec_jax.models.transfer.code_items import CodeItemEncoder
from llmrec_jax.models.transfer.contrastive import drop_items
from llmrec_jax.models.transfer.pretraining import ContrastivePretraining, Contrasts
from llmrec_jax.models.transfer.text_items import TextItemEncoder
from llmrec_jax.training.mesh import STANDARD_RULES, MeshShape, batch_sharding, place
from tests.models.transfer.planted_domains import LAW, OTHER_LAW, TOPICS, planted_domain
from tests.models.transfer.trained import (
    CHANCE,
    LENGTH,
    facts,
    fit,
    follows_the_law,
    recommender,
    sequence_encoder,
    shuffled_order,
    shuffled_text,
    start,
    tokens,
)

SOURCES = [planted_domain(1), planted_domain(2)]
TARGET = planted_domain(3)


@pytest.fixture(scope='module')
def model():
    items = TextItemEncoder(MixtureAdaptor(16, experts=2), word_drop=True)
    return ContrastivePretraining(items, sequence_encoder()).for_catalogue(facts(*SOURCES))


def tables(*domains):
    vectors = facts(*domains).vectors
    return {'text': vectors, 'dropped_text': vectors + 0.05}


@pytest.fixture(scope='module')
def pretrained(model):
    return fit(model, {'items': tokens(*SOURCES)}, start(model, **tables(*SOURCES)))


def zero_shot(params, domain):
    """A recommender of another domain, which takes all but its texts from pre-training."""
    model = recommender(TextItemEncoder(MixtureAdaptor(16, experts=2))).for_catalogue(facts(domain))
    shared = {name: value for name, value in params['item_encoder'].items() if name == 'adaptor'}
    text = jnp.asarray(np.pad(domain.vectors, ((0, 128 - len(domain.vectors)), (0, 0))))
    return model, {**params, 'item_encoder': {**shared, 'text': text}}


def test_dropping_items_keeps_the_order_of_the_others():
    # Row i holds the items 1 to i + 1, the newest last.
    sequences = jnp.maximum(jnp.arange(60)[None, :] - jnp.arange(59, -1, -1)[:, None] + 1, 0)
    found = np.asarray(drop_items(sequences, jax.random.key(0), 0.4))
    kept = 0
    for before, after in zip(np.asarray(sequences), found):
        left = after[after != 0]
        assert len(left) >= 1
        np.testing.assert_array_equal(after, np.pad(left, (60 - len(left), 0)))
        assert np.all(np.diff(left) > 0)
        assert set(left) <= set(before)
        kept += len(left)
    assert abs(kept / 1830 - 0.6) < 0.05
    np.testing.assert_array_equal(drop_items(sequences, jax.random.key(0), 1.0)[:, -1], sequences[:, -1])


@pytest.mark.slow
def test_shared_batches_and_padding_rows_change_nothing(model, pretrained):
    batch = {'items': tokens(*SOURCES)[:14]}
    alone = jax.jit(model.loss_sums, static_argnums=2)(pretrained, batch, None)
    filled = {name: np.concatenate([feature, 0 * feature[:2]]) for name, feature in batch.items()}
    mesh = MeshShape(data=4, model=2).build()
    with jax.set_mesh(mesh), partitioning.axis_rules(STANDARD_RULES):
        placed = place(filled, batch_sharding(mesh, STANDARD_RULES))
        shared = jax.jit(model.loss_sums, static_argnums=2)(pretrained, placed, None)
    assert float(alone[1]) == float(shared[1]) == 14 * (LENGTH - 1)
    for one, other in zip(jax.tree.leaves(alone), jax.tree.leaves(shared)):
        np.testing.assert_allclose(one, other, rtol=1e-4)


@pytest.mark.slow
def test_what_was_learned_of_one_domain_holds_in_another(pretrained):
    reached = follows_the_law(*zero_shot(pretrained, TARGET), TARGET, LAW)
    assert reached > 0.95
    # The nearest text is of the same topic, which the law never lets follow.
    assert not np.any(np.arange(TOPICS) == LAW)
    elsewhere = planted_domain(4, law=OTHER_LAW)
    assert follows_the_law(*zero_shot(pretrained, elsewhere), elsewhere, OTHER_LAW) < 0.05


@pytest.mark.slow
@pytest.mark.parametrize('shuffled', [shuffled_order, shuffled_text])
def test_nothing_is_learned_where_order_or_text_is_shuffled(model, shuffled):
    sources = [shuffled(domain) for domain in SOURCES]
    params = fit(model, {'items': tokens(*sources)}, start(model, **tables(*sources)))
    assert follows_the_law(*zero_shot(params, TARGET), TARGET, LAW) < 3 * CHANCE


def test_parts_that_do_not_fit():
    words = TextItemEncoder(MixtureAdaptor(4))
    with pytest.raises(ValueError, match='leaves views that lack words: set TextItemEncoder.word_drop'):
        ContrastivePretraining(words, sequence_encoder())
    with pytest.raises(ValueError, match='needs items that have codes, not a TextItemEncoder'):
        ContrastivePretraining(words, sequence_encoder(), Contrasts(sequence_weight=0.0, replaced_codes=0.75))
    with pytest.raises(ValueError, match=r'item_drop=2.0 must lie in \[0, 1\]'):
        Contrasts(item_drop=2.0)
    codes = ContrastivePretraining(CodeItemEncoder(4), sequence_encoder(), Contrasts(sequence_weight=0.0))
    codes = codes.for_catalogue(facts(TARGET))
    with pytest.raises(ValueError, match="'items' holds tokens from 3 to 25, but the catalogue has 24"):
        codes.convert_features({'items': np.array([[3, 25]])})


@pytest.mark.slow
def test_a_sequence_loses_what_its_prefixes_lose_one_by_one(model, pretrained):
    sequences = tokens(*SOURCES)[[0, 1, 200]]
    whole, _ = model.network.apply({'params': pretrained}, jnp.asarray(sequences), None)
    queries, keys = [], []
    for row in sequences:
        for end in range(1, LENGTH):
            # Padded behind, so that the items stand where they stand in the whole sequence.
            prefix = jnp.asarray(np.pad(row[:end], (0, LENGTH - 1 - end)))[None]
            states = model.recommender.network.apply({'params': pretrained}, prefix)
            queries.append(states[0, end - 1])
        keys.extend(row[1:])
    vectors = model.recommender.item_vectors(pretrained)
    rows, keys = np.repeat(np.arange(3), LENGTH - 1), np.asarray(keys)
    logits = np.asarray(jnp.stack(queries) @ vectors[keys - 1].T)
    own = np.eye(len(keys), dtype=bool)
    others = (rows[:, None] != rows[None, :]) & (keys[:, None] != keys[None, :])
    expected = [np.log(np.exp(row - row[i])[others[i] | own[i]].sum()) for i, row in enumerate(logits)]
    np.testing.assert_allclose(np.asarray(whole).reshape(-1), expected, rtol=1e-4)
