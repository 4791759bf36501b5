"""Candidates by their likelihood, and by the probability of 'yes'."""

import jax
import numpy as np
import pytest

from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.t5 import T5Config, Transformer

CANDIDATES = 5


@pytest.fixture(scope='module')
def candidates(config):
    """Five texts a row of one to four tokens; one of a row is not there."""
    random = np.random.default_rng(3)
    tokens = random.integers(1, config.vocab_size, (5, CANDIDATES, 4))
    tokens *= np.arange(4) < random.integers(1, 5, (5, CANDIDATES, 1))
    tokens[2, 3] = 0
    return tokens


@pytest.fixture(scope='module')
def scores_by_target(model, params, task_batch, candidates):
    """`score_batch` of each candidate as the target of its row."""
    score = jax.jit(model.score_batch)
    return np.stack(
        [
            score(
                params,
                model.convert_features({'inputs': task_batch['inputs'], 'targets': candidates[:, place]}),
            )
            for place in range(CANDIDATES)
        ],
        axis=1,
    )


def test_candidates_score_as_targets_do(model, params, task_batch, candidates, scores_by_target):
    batch = model.convert_features({'inputs': task_batch['inputs']})
    score = jax.jit(model.score_candidates, static_argnames='chunk_size')
    scores = np.array(score(params, batch, candidates, chunk_size=2))
    assert scores[2, 3] == -np.inf
    scores[2, 3] = 0.0
    np.testing.assert_allclose(scores, scores_by_target, atol=1e-5)


def test_nothing_to_score_is_refused(model, params, batch, candidates):
    with pytest.raises(ValueError, match='must be positive, got 5, 4, 0'):
        model.score_candidates(params, batch, candidates, chunk_size=0)
    with pytest.raises(ValueError, match='must be positive, got 0, 4'):
        model.score_candidates(params, batch, candidates[:, :0])


YES, NO = 2, 3
FIRST_FEATURE = 4


def linear_scorer(weights: np.ndarray) -> tuple[EncoderDecoderModel, dict]:
    """A T5 whose log P(yes) - log P(no) grows with the sum of the input tokens' weights, all in (-1, 1).

    Every block but the decoder's attention to the encoder adds nothing; that one averages the inputs'
    vectors, (weight, sqrt(1 - weight^2)), whose length the encoder's norm leaves alike. A start vector far
    longer than any average makes the decoder's norm all but a constant.
    """
    config = T5Config(
        vocab_size=FIRST_FEATURE + len(weights),
        emb_dim=4,
        num_heads=1,
        head_dim=4,
        mlp_dim=1,
        num_encoder_layers=1,
        num_decoder_layers=1,
    )
    model = EncoderDecoderModel(Transformer(config))
    shapes = {'encoder_input_tokens': (1, 1), 'decoder_input_tokens': (1, 1)}
    shaped = jax.eval_shape(lambda: model.get_initial_variables(jax.random.key(0), shapes)['params'])
    params = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), shaped)
    params['encoder']['encoder_norm']['scale'][:] = 1
    layer = params['decoder']['layers_0']
    for name in ('value', 'out'):
        layer['encoder_decoder_attention'][name]['kernel'][:] = np.eye(4)
    params['decoder']['decoder_norm']['scale'][:] = 1
    params['decoder']['logits_dense']['kernel'][1, [YES, NO]] = 100, -100
    embedding = params['token_embedder']['embedding']
    embedding[0, 0] = 1000
    embedding[FIRST_FEATURE:, 1] = weights
    embedding[FIRST_FEATURE:, 2] = np.sqrt(1 - weights**2)
    return model, params


def test_ranking_by_yes_is_the_ranking_of_a_copied_linear_scorer():
    random = np.random.default_rng(0)
    weights = random.integers(-9, 10, 30)
    model, params = linear_scorer(weights / 10)
    features = random.integers(0, 30, (100, 4))
    batch = model.convert_features({'inputs': FIRST_FEATURE + features})
    every_token = np.array([YES, NO, *range(FIRST_FEATURE + 30), YES])
    log_probs = np.asarray(jax.jit(model.first_step_log_probs)(params, batch, every_token))
    np.testing.assert_allclose(np.exp(log_probs[:, 2:-1]).sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(log_probs[:, 0], log_probs[:, -1])
    asked = log_probs[:, 0] - log_probs[:, 1]
    scorer = weights[features].sum(axis=1)
    order = np.argsort(-asked, kind='stable')
    assert (np.diff(scorer[order]) <= 0).all()
    # A tie of the scorer is a tie here too, to rounding.
    gaps, ties = -np.diff(asked[order]), np.diff(scorer[order]) == 0
    assert np.abs(gaps[ties]).max() < 0.1 * gaps[~ties].min()
