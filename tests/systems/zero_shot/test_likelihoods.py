"""A language model's likelihood of titles: what is read, what is summed, and what is subtracted."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmrec_jax.corpora.splits import Sequences
from llmrec_jax.models.decoder_only import DecoderConfig, DecoderOnlyTransformer
from llmrec_jax.models.decoder_only.model import DecoderOnlyModel
from llmrec_jax.stages.prompt_evaluation.placed_model import PlacedModel
from llmrec_jax.systems.zero_shot.likelihoods import TitleLikelihoods, TitlePrompt
from llmrec_jax.systems.zero_shot.weights import RandomWeights
from tests.text.decoder_tokenizers import trained

CONFIG = DecoderConfig(
    vocab_size=600, emb_dim=16, num_layers=1, num_heads=2, num_kv_heads=1, head_dim=8, mlp_dim=16,
    dtype='float32',
)  # fmt: skip
TITLES = ['Alien', 'Toy Story 2', 'Heat', 'item_7', 'A rather long title of a film, with a comma', 'X!']
PROMPT = TitlePrompt('I like {liked}. I also like', 'I also like', ' "{title}"', max_history=2)
HISTORIES = Sequences(np.asarray([0, 1, 2, 3, 5, 4]), np.asarray([0, 3, 4, 6]))
CANDIDATES = [np.asarray([3, 4]), np.asarray([0, 1, 2, 5]), np.asarray([1])]


@pytest.fixture(scope='module')
def asked(tmp_path_factory):
    words = trained(tmp_path_factory.mktemp('zero_shot') / 'words')
    config, params = RandomWeights(CONFIG).load()
    placed = PlacedModel(DecoderOnlyModel(DecoderOnlyTransformer(config), start_token=None), params)
    return TitleLikelihoods(placed, words, TITLES, PROMPT, batch_size=2)


def by_hand(asked, prompt, title):
    """The sum of log-probabilities of one title, by one forward pass of all of it."""
    first = asked.vocabulary.encode(prompt)
    tokens = np.asarray([[*first, *asked.vocabulary.encode(f' "{title}"')]])
    model = asked.placed.model
    logits = model.module.apply({'params': asked.placed.params}, jnp.asarray(tokens))
    log_probs = np.asarray(jax.nn.log_softmax(logits[0, :-1].astype(np.float32)))
    return log_probs[np.arange(len(first) - 1, tokens.shape[1] - 1), tokens[0, len(first) :]].sum()


def test_scores_are_the_log_likelihoods_less_the_prior(asked):
    found = asked.candidate_scores(HISTORIES, CANDIDATES)
    kept = dataclasses.replace(asked, subtracts_prior=False).candidate_scores(HISTORIES, CANDIDATES)
    means = dataclasses.replace(asked, per_token=True).candidate_scores(HISTORIES, CANDIDATES)
    liked = ['Toy Story 2, Heat', 'item_7', f'X!, {TITLES[4]}']
    for row, items in enumerate(CANDIDATES):
        for place, item in enumerate(items):
            of_prompt = by_hand(asked, f'I like {liked[row]}. I also like', TITLES[item])
            prior = by_hand(asked, 'I also like', TITLES[item])
            length = len(asked.vocabulary.encode(f' "{TITLES[item]}"'))
            assert kept[row][place] == pytest.approx(of_prompt, abs=1e-4)
            assert found[row][place] == pytest.approx(of_prompt - prior, abs=1e-4)
            assert means[row][place] == pytest.approx((of_prompt - prior) / length, abs=1e-5)
    # The catalogue is a list of candidates.
    whole = asked.scores(HISTORIES)
    for row, items in enumerate(CANDIDATES):
        np.testing.assert_allclose(whole[row, items], found[row], atol=1e-4)


def test_a_prompt_that_says_nothing_is_refused(asked):
    for field, value in (('asking', 'I like films'), ('title', 'a film'), ('max_history', 0)):
        with pytest.raises(ValueError, match=field):
            dataclasses.replace(PROMPT, **{field: value})
    with pytest.raises(ValueError, match='padding'):
        nothing = dataclasses.replace(PROMPT, asking='{liked}<pad>')
        dataclasses.replace(asked, prompt=nothing).candidate_scores(HISTORIES, CANDIDATES)
    with pytest.raises(ValueError, match='padding'):
        padding = dataclasses.replace(PROMPT, title='{title}<pad>')
        dataclasses.replace(asked, prompt=padding).candidate_scores(HISTORIES, CANDIDATES)
