import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrec_jax.language_models.batch_requests import ask_all
from llmrec_jax.language_models.language_model import (
    Answer,
    LanguageModel,
    LanguageModelError,
    SamplingSettings,
    TextFailure,
    TextRequest,
    TextResponse,
)
from llmrec_jax.language_models.stored_responses import OfflineModel, ResponseFile, StoredResponses
from llmrec_jax.language_models.usage import Prices
from llmrec_jax.ownership.lock import InUseError

GREEDY = SamplingSettings(max_tokens=8)


class Echo(LanguageModel):
    """Writes the prompt in capitals, last request first, and remembers what it was asked."""

    name = 'echo'

    def __init__(self):
        self.asked = []

    def answers(self, requests):
        for index, request in reversed(list(enumerate(requests))):
            self.asked.append(request.prompt)
            if request.prompt == 'no':
                yield Answer(index, TextFailure('refused'), attempts=3)
            else:
                yield Answer(index, TextResponse(request.prompt.upper(), 'stop', 10, 2, 'echo-1'))


def requests(*prompts, sampling=GREEDY):
    return [TextRequest(prompt, sampling) for prompt in prompts]


def texts(responses):
    return [response.text for response in responses]


def test_responses_come_in_the_order_of_the_requests_and_are_asked_for_once(tmp_path):
    path, echo = str(tmp_path / 'deep' / 'responses.jsonl'), Echo()
    assert texts(StoredResponses(echo, path).complete(requests('a', 'b', 'a'))) == ['A', 'B', 'A']
    assert sorted(echo.asked) == ['a', 'b']
    assert texts(StoredResponses(echo, path).complete(requests('c', 'b'))) == ['C', 'B']
    assert sorted(echo.asked) == ['a', 'b', 'c']
    # Nothing of what a prompt says of its user lies on the disk.
    lines = [json.loads(line) for line in (tmp_path / 'deep' / 'responses.jsonl').read_text().splitlines()]
    assert all(
        set(line) == {'key', 'text', 'finish', 'input_tokens', 'output_tokens', 'model'} for line in lines
    )


def test_what_a_response_depends_on_is_in_its_key():
    request = TextRequest('prompt', GREEDY)
    others = [
        TextRequest('prompt.', GREEDY),
        TextRequest('prompt', GREEDY, system='be brief'),
        TextRequest('prompt', GREEDY, draw=1),
        *(
            TextRequest('prompt', dataclasses.replace(GREEDY, **change))
            for change in (
                {'max_tokens': 9},
                {'temperature': 0.7},
                {'temperature': None},
                {'top_p': 0.9},
                {'stop': ('\n',)},
                {'stop': ('\n', '.')},
                {'seed': 0},
                {'seed': 1},
            )
        ),
    ]
    keys = {request.key('model'), request.key('other'), *(other.key('model') for other in others)}
    assert len(keys) == 2 + len(others)


def test_keys_of_responses_that_were_paid_for_do_not_change():
    request = TextRequest('prompt', SamplingSettings(max_tokens=8, temperature=0))
    assert request.key('model') == '1589903dba82b2932f05643ab9f5403b7ebe01a75b90fe530a40bbc0a0d62dac'


@given(st.text(), st.text())
def test_requests_with_other_texts_have_other_keys(prompt, system):
    one, other = TextRequest(prompt, GREEDY, system), TextRequest(system, GREEDY, prompt)
    assert (one.key('m') == other.key('m')) == (prompt == system)


@settings(max_examples=25)
@given(text=st.text(), cut=st.integers(min_value=1, max_value=40))
def test_a_line_that_was_cut_by_a_kill_is_asked_for_again_and_no_other(tmp_path_factory, text, cut):
    path = tmp_path_factory.mktemp('cut') / 'responses.jsonl'
    kept, lost = (TextResponse(text, 'stop', 1, None, model) for model in ('kept', 'lost'))
    with ResponseFile(path) as file:
        file.add([('first', kept)])
        file.add([('second', lost)])
    path.write_bytes(path.read_bytes()[:-cut])
    with ResponseFile(path) as file:
        assert (file.get('first'), file.get('second'), len(file)) == (kept, None, 1)
        file.add([('second', lost)])
    with ResponseFile(path) as file:
        assert (file.get('first'), file.get('second')) == (kept, lost)


def test_a_damaged_line_is_named(tmp_path):
    path = tmp_path / 'responses.jsonl'
    path.write_text('{"key": "a"}\n')
    with pytest.raises(ValueError, match=r'responses.jsonl, line 1: no stored response'):
        ResponseFile(path)


def test_two_processes_do_not_pay_for_the_same_text(tmp_path):
    path = tmp_path / 'responses.jsonl'
    with ResponseFile(path), pytest.raises(InUseError, match='responses.jsonl is in use'):
        ResponseFile(path)
    ResponseFile(path).close()


def test_failures_are_told_when_all_others_are_stored_and_asked_again_later(tmp_path):
    echo = Echo()
    model = StoredResponses(echo, str(tmp_path / 'responses.jsonl'))
    with pytest.raises(LanguageModelError, match='1 of 3 requests to echo failed, one of them: refused'):
        model.complete(requests('a', 'no', 'b'))
    assert isinstance(ask_all(model, requests('no', 'a'), max_failed_share=0.5).outcomes[0], TextFailure)
    assert sorted(echo.asked) == ['a', 'b', 'no', 'no']


def test_stored_responses_answer_without_a_model(tmp_path):
    path = str(tmp_path / 'responses.jsonl')
    StoredResponses(Echo(), path).complete(requests('a'))
    offline = StoredResponses(OfflineModel('echo'), path)
    assert texts(offline.complete(requests('a'))) == ['A']
    with pytest.raises(LanguageModelError, match='no response of echo to it is stored'):
        offline.complete(requests('a', 'b'))


def test_tokens_attempts_and_cost_are_counted(tmp_path):
    model = StoredResponses(Echo(), str(tmp_path / 'responses.jsonl'))
    model.complete(requests('a'))
    prices = Prices(input_per_million=2.0, output_per_million=30.0)
    asked = ask_all(model, requests('a', 'b', 'c', 'no'), prices=prices, max_failed_share=0.25)
    assert asked.usage.as_dict(prices) == {
        'responses': 3,
        'from_store': 1,
        'failures': 1,
        'retries': 2,
        'now': {'input': 20, 'output': 4, 'uncounted': 0},
        'before': {'input': 10, 'output': 2, 'uncounted': 0},
        'cost': {'now': 160e-6, 'before': 80e-6, 'currency': 'USD'},
    }


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'max_tokens': 0}, 'max_tokens must be at least 1, not 0'),
        ({'temperature': -1.0}, 'temperature must not be negative, but is -1.0'),
        ({'top_p': 0.0}, r'top_p must be in \(0, 1\], not 0.0'),
        ({'stop': ('',)}, "stop cannot have ''"),
    ],
)
def test_settings_that_cannot_be_had_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        SamplingSettings(**({'max_tokens': 8} | change))
