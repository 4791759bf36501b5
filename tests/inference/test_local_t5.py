"""A small T5 with random parameters behind the interface of language models."""

import dataclasses

import jax
import numpy as np
import pytest
from flax import traverse_util

from llmrec_jax.decoding.sampling import Greedy
from llmrec_jax.inference.local_t5 import LocalT5
from llmrec_jax.language_models.language_model import (
    LanguageModelError,
    SamplingSettings,
    TextFailure,
    TextRequest,
)
from llmrec_jax.language_models.stored_responses import StoredResponses
from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.t5 import T5Config, Transformer
from llmrec_jax.text.vocabulary_sources import TrainedVocabulary
from llmrec_jax.training.parameter_restore import load_params
from tests.small_t5 import random_params
from tests.text.vocabularies import prompt_texts
from tests.training.t5x_files import write_t5x

SIZE, LENGTH = 600, 10
CONFIG = T5Config(
    vocab_size=SIZE,
    emb_dim=16,
    num_heads=2,
    head_dim=4,
    mlp_dim=24,
    num_encoder_layers=1,
    num_decoder_layers=1,
)
GREEDY = SamplingSettings(LENGTH)
DRAWN = SamplingSettings(LENGTH, temperature=0.8, top_p=0.9, seed=3)
PROMPTS = prompt_texts(11)


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp('t5')
    vocabulary = TrainedVocabulary(SIZE, extra_ids=0).make_at(folder, prompt_texts())
    params = traverse_util.unflatten_dict(random_params(CONFIG), sep='/')
    return write_t5x(folder / 'checkpoint_1000', params), vocabulary


@pytest.fixture(scope='module')
def make(files):
    checkpoint, vocabulary = files

    def make(**fields):
        given = {
            'checkpoint': str(checkpoint),
            'extra_ids': 0,
            'input_length': 64,
            'length_buckets': (48,),
            'batch_size': 8,
        } | fields
        model = EncoderDecoderModel(Transformer(CONFIG))
        return LocalT5(model, vocabulary=vocabulary.path, **given)

    return make


@pytest.fixture(scope='module')
def local(make):
    return make()


def requests(prompts, sampling=GREEDY, **fields):
    return [TextRequest(prompt, sampling, **fields) for prompt in prompts]


@pytest.fixture(scope='module')
def greedy(local):
    return local.complete(requests(PROMPTS))


def test_texts_are_those_of_the_network_prompt_by_prompt(greedy, files):
    checkpoint, vocabulary = files
    model, params = EncoderDecoderModel(Transformer(CONFIG)), load_params(checkpoint)
    tokens = [[*vocabulary.encode(prompt), vocabulary.eos_id] for prompt in PROMPTS]
    inputs = np.zeros((len(tokens), 64), np.int32)
    for row, line in zip(inputs, tokens, strict=True):
        row[: len(line)] = line
    generate = jax.jit(model.generate, static_argnames='decoder')
    expected = generate(params, model.convert_features({'inputs': inputs}), Greedy(LENGTH))
    for place, response in enumerate(greedy):
        assert response.text == vocabulary.decode(expected.tokens[place, 0].tolist())
        assert response.output_tokens == int(expected.lengths[place, 0])
        assert response.input_tokens == len(tokens[place])
        assert response.finish == ('stop' if vocabulary.eos_id in expected.tokens[place, 0] else 'length')
    assert len({response.text for response in greedy}) > 1


def test_a_text_does_not_depend_on_what_is_asked_beside_it(local):
    together = local.complete(requests(PROMPTS, DRAWN))
    assert local.complete(requests(PROMPTS[3:4], DRAWN)) == together[3:4]
    assert local.complete(requests(PROMPTS, DRAWN)) == together
    drawn_again = local.complete(requests(PROMPTS, DRAWN, draw=1))
    assert [response.text for response in drawn_again] != [response.text for response in together]
    reseeded = local.complete(requests(PROMPTS, dataclasses.replace(DRAWN, seed=4)))
    assert [response.text for response in reseeded] != [response.text for response in together]


def test_a_stop_text_ends_the_response_and_is_no_part_of_it(local, greedy):
    index, whole = next((i, r.text) for i, r in enumerate(greedy) if ' ' in r.text.strip())
    stop = whole.split()[-1]
    (ended,) = local.complete(requests([PROMPTS[index]], dataclasses.replace(GREEDY, stop=(stop,))))
    assert ended.text == whole[: whole.index(stop)].rstrip() and ended.finish == 'stop'


def test_a_prompt_that_does_not_fit_fails_alone_and_uncut(local, greedy):
    long = ' '.join(PROMPTS)
    answers = {answer.index: answer.outcome for answer in local.answers(requests([long, PROMPTS[0]]))}
    assert answers[1] == greedy[0]
    assert isinstance(answers[0], TextFailure)
    assert 'longer than LocalT5.input_length=64' in answers[0].reason


def test_responses_are_stored_under_a_name_that_tells_the_weights(local, greedy, make, files, tmp_path):
    other = random_params(CONFIG)
    other['decoder/decoder_norm/scale'] = other['decoder/decoder_norm/scale'] + 1
    written = write_t5x(tmp_path / 'checkpoint_2', traverse_util.unflatten_dict(other, sep='/'))
    assert local.name != make(checkpoint=str(written)).name
    stored = StoredResponses(local, str(tmp_path / 'responses.jsonl'))
    assert stored.complete(requests(PROMPTS)) == greedy
    assert [answer.attempts for answer in stored.answers(requests(PROMPTS))] == [0] * len(PROMPTS)


def test_what_does_not_go_together_is_told(make, files, tmp_path):
    with pytest.raises(ValueError, match='batch_size=12 does not divide over 8 devices'):
        make(batch_size=12).complete(requests(PROMPTS[:1]))
    with pytest.raises(
        ValueError, match='has 700 tokens with LocalT5.extra_ids=100, but the network has room'
    ):
        make(extra_ids=100).complete(requests(PROMPTS[:1]))
    params = traverse_util.flatten_dict(load_params(files[0]), sep='/')
    params['decoder/decoder_norm/scale'] = np.full_like(params['decoder/decoder_norm/scale'], np.nan)
    broken = write_t5x(tmp_path / 'checkpoint_3', traverse_util.unflatten_dict(params, sep='/'))
    with pytest.raises(
        LanguageModelError, match='checkpoint_3: the network gives scores that are no numbers'
    ):
        make(checkpoint=str(broken)).complete(requests(PROMPTS[:1]))
