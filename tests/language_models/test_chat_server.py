import email.utils
import json
import logging
import time

import pytest

from llmrec_jax.language_models.chat_completions import NonsenseError, read_reply
from llmrec_jax.language_models.chat_server import ChatServer
from llmrec_jax.language_models.exchange import _seconds as retry_seconds
from llmrec_jax.language_models.language_model import (
    LanguageModelError,
    SamplingSettings,
    TextFailure,
    TextRequest,
    TextResponse,
)
from tests.language_models.local_chat_server import (
    PATH,
    chat_server,
    error,
    prompts_asked,
    reply,
    send,
    send_json,
)

GREEDY = SamplingSettings(max_tokens=8)
KEY = 'sk-a-very-secret-key'


@pytest.fixture
def server():
    with chat_server() as running:
        yield running


def client(server, **fields):
    quick = {'first_wait_seconds': 0.01, 'timeout_seconds': 1.0, 'max_attempts': 8, 'concurrency': 4}
    return ChatServer(server.url, 'echo', **(quick | fields))


def requests(*prompts, sampling=GREEDY):
    return [TextRequest(prompt, sampling) for prompt in prompts]


def by_prompt(answers, asked):
    return {asked[answer.index].prompt: answer for answer in answers}


def no_reply(handler):
    time.sleep(1.5)


def dripping(handler):
    handler.send_response(200)
    handler.send_header('Content-Length', '100')
    handler.end_headers()
    for _ in range(20):
        handler.wfile.write(b' ')
        time.sleep(0.1)


def hang_up(handler):
    handler.close_connection = True


def truncated(handler):
    content = json.dumps(reply('cut')).encode()
    send(handler, 200, content[:-20], claimed=len(content))
    handler.close_connection = True


def cut_json(handler):
    send(handler, 200, json.dumps(reply('cut')).encode()[:-20])


def wrong(content):
    return lambda handler: send_json(handler, 200, content)


FAULTS = {
    'times out': no_reply,
    'drips': dripping,
    'hangs up': hang_up,
    'truncated': truncated,
    'cut JSON': cut_json,
    'web page': lambda handler: send(handler, 200, b'<html>login</html>'),
    'no choices': wrong({'choices': []}),
    'a list': wrong([1, 2]),
    'no text': wrong({'choices': [{'message': {'content': None}}]}),
    '429': error(429),
    '429 with Retry-After': error(429, headers=[('Retry-After', '0.05')]),
    '500': error(500),
    '503 of a proxy': lambda handler: send(handler, 503, b'<html>no upstream</html>'),
    '504': error(504),
}


def test_what_servers_do_is_survived(server):
    server.faults = {name: [fault, fault] for name, fault in FAULTS.items()}
    asked = requests('well', *FAULTS)
    answers = by_prompt(client(server, concurrency=16).answers(asked), asked)
    assert {name: answer.outcome.text for name, answer in answers.items()} == {
        name: name.upper() for name in ('well', *FAULTS)
    }
    assert not any(server.faults.values())
    assert all(answers[name].attempts >= 3 for name in FAULTS)


def test_a_request_that_never_succeeds_fails_alone(server):
    server.faults = {'bad': [FAULTS['cut JSON']] * 9}
    asked = requests('good', 'bad', 'fine')
    answers = by_prompt(client(server, max_attempts=2).answers(asked), asked)
    assert answers['good'].outcome.text == 'GOOD' and answers['fine'].outcome.text == 'FINE'
    assert answers['bad'].outcome == TextFailure(
        f'a reply of {len(json.dumps(reply("cut"))) - 20} bytes that is no JSON, the last of 2 attempts'
    )


@pytest.mark.parametrize(
    ('fault', 'reason'),
    [
        (error(400, 'the prompt is too long'), 'status 400: the prompt is too long'),
        (
            wrong({'choices': [{'message': {'content': None}, 'finish_reason': 'content_filter'}]}),
            r'the server withheld the text \(content_filter\)',
        ),
    ],
)
def test_a_request_that_is_refused_is_not_asked_again(server, fault, reason):
    server.faults = {'refused': [fault]}
    with pytest.raises(LanguageModelError, match=f'1 of 1 requests to echo failed, one of them: {reason}'):
        client(server).complete(requests('refused'))
    assert prompts_asked(server) == ['refused']


@pytest.mark.parametrize(
    ('fault', 'reason'),
    [
        (error(401, f'Incorrect API key provided: {KEY}.'), r'refuses .echo. \(status 401: .*: \*\*\*\.\)'),
        (error(404, 'no such model'), r'refuses .echo. \(status 404: no such model\)'),
        (error(429, 'pay first', code='insufficient_quota'), r'status 429: pay first'),
        (error(429, 'daily limit', headers=[('Retry-After', '3600')]), r'asks to wait 3600 s'),
        (
            lambda handler: send(handler, 307, b'', [('Location', 'http://127.0.0.1:9/v1')]),
            r'refuses .echo. \(status 307\)',
        ),
    ],
)
def test_what_no_request_is_spared_ends_the_run(server, fault, reason, monkeypatch):
    monkeypatch.setenv('TEST_KEY', KEY)
    server.faults = {'*': [fault] * 99}
    with pytest.raises(LanguageModelError, match=reason) as raised:
        client(server, concurrency=1, api_key_variable='TEST_KEY').complete(requests('a', 'b', 'c'))
    assert len(server.asked) == 1
    assert KEY not in str(raised.value) and raised.value.__cause__ is None


def test_a_server_that_speaks_no_tls_is_not_asked_again(server):
    secure = ChatServer(server.url.replace('http:', 'https:'), 'echo', concurrency=1)
    with pytest.raises(LanguageModelError, match='cannot be trusted: the connection failed .SSLError'):
        secure.complete(requests('a', 'b'))


def test_a_dead_server_is_given_up(server):
    server.faults = {'*': [error(503)] * 999}
    dead = client(server, concurrency=2, max_attempts=2, give_up_after=3)
    with pytest.raises(
        LanguageModelError, match='3 requests to http.* failed in a row, the last: status 503'
    ):
        dead.complete(requests(*'abcdefghijklmnop'))
    assert len(server.asked) <= 2 * (3 + 2)
    gone = ChatServer('http://127.0.0.1:9/v1', 'echo', first_wait_seconds=0.01, give_up_after=1)
    with pytest.raises(LanguageModelError, match='the connection failed'):
        gone.complete(requests('a', 'b'))


def test_the_protocol(server, monkeypatch):
    monkeypatch.setenv('TEST_KEY', KEY + '\n')
    sampling = SamplingSettings(8, temperature=0.7, top_p=0.9, stop=['\n'], seed=5)
    asked = TextRequest('hello', sampling, system='be brief', draw=2)
    chosen = client(server, api_key_variable='TEST_KEY', extra_fields={'reasoning_effort': 'low'})
    assert chosen.complete([asked]) == [TextResponse('HELLO', 'stop', 5, 3, 'echo-1')]
    _, _, sent, headers, path = server.asked[0]
    assert (path, headers['Authorization']) == (PATH, f'Bearer {KEY}')
    assert sent == {
        'model': 'echo',
        'messages': [{'role': 'system', 'content': 'be brief'}, {'role': 'user', 'content': 'hello'}],
        'max_tokens': 8,
        'temperature': 0.7,
        'top_p': 0.9,
        'stop': ['\n'],
        'seed': 7,
        'reasoning_effort': 'low',
    }
    bare = TextRequest('hello', SamplingSettings(8, temperature=None))
    client(server, length_field='max_completion_tokens').complete([bare])
    _, _, sent, headers, _ = server.asked[1]
    assert set(sent) == {'model', 'messages', 'max_completion_tokens'} and 'Authorization' not in headers
    assert chosen.name != client(server).name == 'echo'


def test_the_key_is_nowhere_to_be_seen(server, monkeypatch, caplog, tmp_path):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv('TEST_KEY', KEY)
    server.faults = {'a': [error(500, f'bad {KEY}'), error(400, f'bad {KEY}')]}
    asking = client(server, api_key_variable='TEST_KEY')
    (answer,) = asking.answers(requests('a'))
    assert answer.outcome == TextFailure('status 400: bad ***')
    assert 'bad ***' in caplog.text and KEY not in caplog.text + repr(asking) + repr(answer)


def test_a_key_that_is_missing_or_misplaced_is_told_without_showing_it(server, monkeypatch):
    monkeypatch.delenv('TEST_KEY', raising=False)
    with pytest.raises(
        LanguageModelError, match='TEST_KEY, which ChatServer.api_key_variable names, holds no'
    ):
        client(server, api_key_variable='TEST_KEY').complete(requests('a'))
    monkeypatch.setenv('TEST_KEY', 'sk-\x07secret')
    with pytest.raises(LanguageModelError, match='TEST_KEY holds no key: it has odd characters'):
        client(server, api_key_variable='TEST_KEY').complete(requests('a'))
    # Nothing is to be asked, so no key is needed.
    assert client(server, api_key_variable='OTHER_KEY').complete([]) == []
    with pytest.raises(ValueError, match='must be the name of an environment variable') as raised:
        client(server, api_key_variable=KEY)
    assert KEY not in str(raised.value)
    with pytest.raises(ValueError, match='must not hold a password') as raised:
        ChatServer(f'https://user:{KEY}@host/v1', 'echo')
    assert KEY not in str(raised.value)
    assert server.asked == []


def test_no_more_requests_are_under_way_than_allowed(server):
    server.seconds = 0.05
    responses = client(server, concurrency=3).complete(requests(*(f'prompt {n}' for n in range(12))))
    assert [response.text for response in responses] == [f'PROMPT {n}' for n in range(12)]
    assert server.most_under_way == 3


def test_requests_start_at_the_pace_that_is_set(server):
    client(server, requests_per_minute=60 / 0.05).complete(requests(*'abcdefgh'))
    started = sorted(at for at, *_ in server.asked)
    assert started[-1] - started[0] > 7 * 0.05 - 0.04


def test_a_server_that_asks_to_wait_is_left_in_peace_by_all(server):
    server.faults = {'*': [error(429, headers=[('Retry-After', '0.4')])]}
    client(server, concurrency=1).complete(requests('a', 'b'))
    started = [at for at, *_ in server.asked]
    assert len(started) == 3 and started[1] - started[0] > 0.4


def test_retry_after_is_seconds_or_a_date():
    at = 1_700_000_000.0
    assert retry_seconds('7', at) == 7.0
    assert retry_seconds(email.utils.formatdate(at + 30, usegmt=True), at) == 30.0
    assert retry_seconds(email.utils.formatdate(at - 30, usegmt=True), at) == 0.0
    assert [retry_seconds(text, at) for text in (None, 'soon', 'nan', 'inf', '')] == [None] * 5


def test_replies_without_counts_names_or_whole_characters_and_with_thinking_are_read():
    bare = {'choices': [{'message': {'content': 'a\ud83d'}}]}
    assert read_reply(json.dumps(bare).encode(), 'echo') == TextResponse('a?', 'unknown', None, None, 'echo')
    for text, expected in {
        '<think>\nkettles? lamps?</think>\n\nlamps': 'lamps',
        ' <think>kettles or': '',
        'I <think> so': 'I <think> so',
    }.items():
        thought = {'choices': [{'message': {'content': text}}]}
        assert read_reply(json.dumps(thought).encode(), 'echo').text == expected
    strange = bare | {'usage': {'prompt_tokens': 'many', 'completion_tokens': -1}, 'model': 3}
    assert read_reply(json.dumps(strange).encode(), 'echo').input_tokens is None
    with pytest.raises(NonsenseError, match='no JSON'):
        read_reply(b'[' * 100_000, 'echo')


@pytest.mark.parametrize(
    ('fields', 'message'),
    [
        ({'base_url': 'localhost:8000'}, 'is no address'),
        ({'concurrency': 0}, 'concurrency must be at least 1, not 0'),
        ({'timeout_seconds': 0.0}, 'timeout_seconds must be above 0'),
        ({'requests_per_minute': -1.0}, 'requests_per_minute must be above 0'),
    ],
)
def test_fields_that_cannot_be_had_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        ChatServer(**({'base_url': 'http://localhost:8000/v1', 'model': 'echo'} | fields))
