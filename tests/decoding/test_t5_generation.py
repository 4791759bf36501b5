"""Texts of the real network: scored as training scores them, on one device and on eight."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from llmrec_jax.decoding.beam import Beam
from llmrec_jax.decoding.name_search import NameSearch
from llmrec_jax.decoding.sampling import Sampling
from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.t5 import Transformer
from llmrec_jax.semantic_ids.trie import name_trie
from tests.decoding.t5_problem import t5_problem

ROWS = 8
BEAM = Beam(6, 3, length_penalty=0.0)
SAMPLES = Sampling(6, top_k=9, top_p=0.9, samples=2)


@pytest.fixture(scope='module')
def problem():
    return t5_problem(users=ROWS, num_decoder_layers=1)


@pytest.fixture(scope='module')
def model(problem):
    return EncoderDecoderModel(module=Transformer(problem.config), decode_fn=NameSearch(beam_size=10))


@pytest.fixture(scope='module')
def names(problem):
    """Names of one or two pieces."""
    lengths = np.random.default_rng(1).integers(1, 3, 60)
    return sorted({tuple(row[:length]) for row, length in zip(problem.tokens.tolist(), lengths)})


@pytest.fixture(scope='module')
def decode(model):
    """Everything that is asked of the model, compiled once."""

    @jax.jit
    def decode(params, batch, trie, candidates, candidate_tokens, key):
        return {
            'beams': model.generate(params, batch, BEAM),
            'samples': model.generate(params, batch, SAMPLES, key),
            'names': model.recommend(params, batch, trie, candidates=candidates),
            'scores': model.score_candidates(params, batch, candidate_tokens, chunk_size=8),
        }

    return decode


@pytest.fixture(scope='module')
def arguments(problem, names):
    trie = name_trie(names)
    candidates = jnp.asarray(np.random.default_rng(2).integers(0, len(names), (ROWS, 10)), jnp.int32)
    tokens = np.zeros((len(names), trie.levels), np.int32)
    for row, name in enumerate(names):
        tokens[row, : len(name) + 1] = [*name, 1]
    candidate_tokens = jnp.asarray(tokens[np.asarray(candidates)])
    return problem.params, problem.batch, trie, candidates, candidate_tokens, jax.random.key(3)


@pytest.fixture(scope='module')
def decoded(decode, arguments):
    return jax.device_get(decode(*arguments))


def test_a_names_score_is_that_of_its_pieces_and_end(decoded, arguments):
    """Through the trie and the cache, and by forcing the whole name."""
    candidates = np.asarray(arguments[3])
    for row in range(ROWS):
        of_item = dict(zip(candidates[row].tolist(), decoded['scores'][row].tolist()))
        ranked = sorted(of_item, key=lambda item: -of_item[item])
        found = decoded['names'].valid[row]
        assert decoded['names'].items[row][found].tolist() == ranked
        np.testing.assert_allclose(
            decoded['names'].scores[row][found], [of_item[item] for item in ranked], atol=1e-5
        )


def test_a_texts_score_is_that_of_its_tokens(model, problem, decoded):
    texts = decoded['beams']
    scores = np.asarray(jax.jit(model.score_candidates)(problem.params, problem.batch, texts.tokens))
    # A padding token that the model itself chose counts as a token there, and as no token here.
    unpadded = (texts.tokens > 0).sum(axis=-1) == texts.lengths
    assert unpadded.sum() >= 8
    np.testing.assert_allclose(texts.scores[unpadded], scores[unpadded], atol=1e-5)


def test_eight_devices_decode_what_one_decodes(decode, arguments, decoded):
    mesh = jax.make_mesh((8,), ('data',), axis_types=(jax.sharding.AxisType.Auto,))
    everywhere, by_row = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in ((), ('data',)))
    params, batch, trie, candidates, candidate_tokens, key = arguments
    with jax.set_mesh(mesh):
        sharded = decode(
            *jax.device_put((params,), everywhere),
            *jax.device_put((batch,), by_row),
            *jax.device_put((trie,), everywhere),
            *jax.device_put((candidates, candidate_tokens), by_row),
            jax.device_put(key, everywhere),
        )
    for found, expected in zip(jax.tree.leaves(sharded), jax.tree.leaves(decoded), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)
