"""Texts that `infer` answers: what a line asks, what is written, and the network that writes it."""

import argparse
import io
import json

import jax
import numpy as np
import pytest

from llmrec_jax import infer
from llmrec_jax.decoding.sampling import Greedy
from llmrec_jax.evaluation.text_writer import WrittenText
from llmrec_jax.inference.asked_files import BadLine, read_lines
from llmrec_jax.inference.texts import AskedTexts
from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.t5 import T5Config, Transformer
from llmrec_jax.stages.prompt_evaluation.placed_model import PlacedModel
from llmrec_jax.stages.prompt_evaluation.trained_writer import TrainedWriter
from llmrec_jax.text.vocabulary_sources import TrainedVocabulary

TEXTS = [f'the lamp number {n} is good' for n in range(60)]
# As many as the fake devices of the tests divide.
BATCH = 8


class Upper:
    """Answers in capitals, and finds texts above four letters too long."""

    def write(self, texts):
        return (WrittenText(text.upper(), -float(len(text)), len(text) > 4) for text in texts)


def read(content):
    return list(read_lines(io.BytesIO(content), 'texts.jsonl', AskedTexts(Upper()).parse))


@pytest.mark.parametrize(
    'line',
    [
        b'{"history": ["a"]}',
        b'{"inputs": ""}',
        b'{"inputs": ["a"]}',
        b'{"inputs": " "}',
        rb'{"inputs": "\ud83d"}',
    ],
)
def test_a_line_without_a_text_is_named_and_the_others_are_read(line):
    before, wrong, after = read(b'{"inputs": "a"}\n' + line + b'\n{"inputs": "b", "more": 1}\n')
    assert (before, after) == ('a', 'b')
    assert isinstance(wrong, BadLine) and wrong.line == 2
    assert 'texts.jsonl, line 2' in wrong.reason and 'inputs' in wrong.reason


def test_each_text_is_answered_with_its_score(caplog):
    found = [json.loads(line) for line in AskedTexts(Upper()).answers(['caf\u00e9', 'a'])]
    assert found == [
        {'inputs': 'caf\u00e9', 'prediction': 'CAF\u00c9', 'score': -4.0},
        {'inputs': 'a', 'prediction': 'A', 'score': -1.0},
    ]
    assert not caplog.text
    list(AskedTexts(Upper()).answers(['abcde', 'abc', 'abcdef']))
    assert caplog.records[0].args == (2,)


@pytest.fixture(scope='module')
def network():
    """One that has learned nothing."""
    config = T5Config(
        400, emb_dim=8, num_heads=2, head_dim=4, mlp_dim=8, num_encoder_layers=1, num_decoder_layers=1
    )
    model = EncoderDecoderModel(Transformer(config))
    batch = model.convert_features({name: np.ones((1, 2), np.int32) for name in ('inputs', 'targets')})
    shapes = {name: array.shape for name, array in batch.items()}
    params = model.get_initial_variables(jax.random.key(0), shapes)['params']
    return PlacedModel(model, jax.device_put(jax.tree.map(np.asarray, params)))


def test_a_network_answers_each_text_as_it_is_alone_and_cuts_what_is_too_long(network, tmp_path):
    vocabulary = TrainedVocabulary(400, extra_ids=0).make_at(tmp_path, TEXTS)
    writer = TrainedWriter(network, vocabulary, Greedy(4), input_length=12, batch_size=BATCH)
    texts = ['lamp', TEXTS[3] * 3, *(f'number {n}' for n in range(BATCH))]
    found = list(writer.write(texts))
    assert [answer.cut for answer in found] == [False, True, *[False] * BATCH]
    for text, answer in zip(texts[:2], found):
        tokens = [*vocabulary.encode(text)[:11], vocabulary.eos_id]
        features = network.model.convert_features({'inputs': np.asarray([tokens])})
        alone = network.model.generate(network.params, features, Greedy(4))
        assert answer.text == vocabulary.decode(alone.tokens[0, 0].tolist())
        assert answer.score == pytest.approx(float(alone.scores[0, 0]), rel=1e-4)


def test_a_vocabulary_of_another_network_is_refused(network, tmp_path):
    vocabulary = TrainedVocabulary(500, extra_ids=100).make_at(tmp_path, TEXTS)
    with pytest.raises(ValueError, match='spiece.model'):
        TrainedWriter(network, vocabulary, Greedy(4), input_length=12, batch_size=BATCH)


class System:
    """Recommends nothing; writes texts where it has a writer."""

    name = 'system'
    run = None

    def __init__(self, writer):
        self.writer = writer

    def recommender(self, run):
        return None

    def text_writer(self, run):
        return self.writer


@pytest.mark.parametrize(
    ('writer', 'flags', 'named'),
    [
        (Upper(), {'k': 3}, '--k'),
        (Upper(), {'seen_items': 'kept'}, '--seen_items'),
        (Upper(), {'k': 0}, '--k=0'),
        (None, {}, 'System'),
    ],
)
def test_what_has_no_effect_or_no_answer_is_refused(writer, flags, named):
    given = argparse.Namespace(**{'k': None, 'seen_items': None, **flags})
    with pytest.raises(ValueError, match=named):
        infer._asked(System(writer), given)


def test_a_system_that_writes_is_asked_texts():
    assert (
        infer._asked(System(Upper()), argparse.Namespace(k=None, seen_items=None)).parse(
            'f', 1, {'inputs': 'a'}
        )
        == 'a'
    )
