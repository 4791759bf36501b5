"""What a line of `infer`'s input asks for, and what a wrong one does to the others."""

import argparse
import gzip
import io
import json
import subprocess

import numpy as np
import pytest

from llmrec_jax.evaluation.recommendations import ABSENT, Recommendations
from llmrec_jax.inference.asked_files import AskedFile, BadLine, WrongLines, read_lines
from llmrec_jax.inference.histories import AskedHistories, AskedLine
from llmrec_jax.stages.catalogue_file import ShownItems

SHOWN = ShownItems(['a', 'b', 'é'], ['A', 'B', 'É'], [(), (), ()])
GOOD = b'{"user_id": "u", "history": ["a", "b"]}'


class LastFirst:
    """Lists the history backwards, and remembers for whom."""

    def for_users(self, users):
        self.users = users
        return self

    def with_params(self, params):
        raise NotImplementedError

    def target_ranks(self, cases, k, *, seen_items):
        raise NotImplementedError

    def recommend(self, cases, k, seen_items):
        items = np.full((len(cases), k), ABSENT)
        for row in range(len(cases)):
            history = cases.histories[row][::-1][:k]
            items[row, : len(history)] = history
        scores = np.where(items == ABSENT, -np.inf, 1.0).astype(np.float32)
        return Recommendations(items, scores, np.zeros(len(cases), np.int64))


ASKED = AskedHistories(LastFirst(), SHOWN, 2, 'kept')


def read(content, name='in.jsonl'):
    return list(read_lines(io.BytesIO(content), name, ASKED.parse))


@pytest.mark.parametrize(
    ('line', 'asked'),
    [
        (GOOD, AskedLine('u', [0, 1])),
        (b'\xef\xbb\xbf' + GOOD, AskedLine('u', [0, 1])),
        (GOOD + b'\r', AskedLine('u', [0, 1])),
        (b'{"history": ["a"]}', AskedLine('', [0])),
        (b'{"user_id": null, "history": ["a"]}', AskedLine('', [0])),
        (b'{"user_id": "None", "history": ["a"]}', AskedLine('None', [0])),
        ('{"user_id": "é", "history": ["é"], "more": 1}'.encode(), AskedLine('é', [2])),
        (rb'{"user_id": "\ud83d\ude00", "history": ["\u00e9"]}', AskedLine('😀', [2])),
    ],
)
def test_a_line_says_whose_history_it_is(line, asked):
    assert read(line + b'\n') == [asked]


@pytest.mark.parametrize(
    ('line', 'reason'),
    [
        ('{"user_id": "caf\u00e9", "history": ["a"]}'.encode('latin-1'), 'bytes that are not utf-8'),
        (rb'{"user_id": "\ud83d", "history": ["a"]}', r"user_id is '\\ud83d', which holds half a character"),
        (b'{"user_id": 7, "history": ["a"]}', 'user_id is 7, which is no text'),
        (b'{"user_id": true, "history": ["a"]}', 'user_id is True, which is no text'),
        (b'{"user_id": ["u"], "history": ["a"]}', r"user_id is \['u'\], which is no text"),
        (b'{"user_id": "u"}', 'no history'),
        (b'{"user_id": "u", "history": "a"}', 'no history'),
        (b'{"user_id": "u", "history": []}', 'the history is empty'),
        (b'{"user_id": "u", "history": ["a", "NEW"]}', "item 'NEW' is not in the catalogue of 3 items"),
        (b'{"user_id": "u", "history": [1]}', 'item 1 is not in the catalogue'),
        (b'{"user_id": "u", "history": [["a"]]}', r"item \['a'\] is not in the catalogue"),
        (rb'{"user_id": "u", "history": ["\ud83d"]}', r"item '\\ud83d' is not in the catalogue"),
        (b'[1]', 'a list, not an object'),
        (b'{"user_id": "u"', 'not JSON'),
        (b'[' * 100_000, 'not JSON'),
        (b'{"user_id": ' + b'9' * 5000 + b'}', 'not JSON'),
    ],
)
def test_a_wrong_line_is_named_and_the_others_are_read(line, reason):
    before, wrong, after = read(GOOD + b'\n' + line + b'\n\n  \n' + GOOD)
    assert before == after == AskedLine('u', [0, 1])
    assert isinstance(wrong, BadLine) and wrong.line == 2
    with pytest.raises(ValueError, match=rf'in.jsonl, line 2: {reason}'):
        raise ValueError(wrong.reason)
    wrong.reason.encode()
    json.dumps(wrong.text).encode()


def test_blank_lines_ask_for_nothing():
    assert read(b'\n' + GOOD + b'\n\n \t\r\n' + GOOD + b'\n') == [AskedLine('u', [0, 1])] * 2
    assert read(b'') == []


def test_utf_16_is_named():
    first, *_ = read('{"user_id": "u", "history": ["a"]}\n'.encode('utf-16'))
    assert first.line == 1 and 'line 1: UTF-16' in first.reason


@pytest.mark.parametrize('pack', [bytes, gzip.compress])
def test_files_and_pipes_plain_or_gzip_are_read_twice(tmp_path, pack, monkeypatch):
    content = pack(GOOD + b'\n' + GOOD + b'\n')
    (tmp_path / 'in').write_bytes(content)
    monkeypatch.setattr('sys.stdin', argparse.Namespace(buffer=io.BytesIO(content)))
    pipe = subprocess.Popen(['cat', str(tmp_path / 'in')], stdout=subprocess.PIPE)
    for path in (str(tmp_path / 'in'), '-', f'/dev/fd/{pipe.stdout.fileno()}'):
        with AskedFile.opened(path) as histories:
            for _ in range(2):
                assert list(histories.lines(ASKED.parse)) == [AskedLine('u', [0, 1])] * 2
    pipe.communicate()


def test_a_damaged_gzip_is_named(tmp_path):
    (tmp_path / 'in').write_bytes(gzip.compress(GOOD)[:-9])
    with (
        AskedFile.opened(str(tmp_path / 'in')) as histories,
        pytest.raises(ValueError, match='not a whole gzip'),
    ):
        histories.check(ASKED.parse)


def test_before_any_work_the_first_wrong_line_is_told_and_how_many_there_are():
    histories = AskedFile(io.BufferedReader(io.BytesIO(GOOD + b'\n[]\n{\n')), 'standard input')
    with pytest.raises(ValueError, match=r'standard input, line 2: a list.*2 lines are wrong.*--errors=skip'):
        histories.check(ASKED.parse)


def test_wrong_lines_are_written_with_their_reasons_and_the_others_are_answered(tmp_path):
    output = tmp_path / 'out.jsonl'
    lines = [GOOD, b'{"user_id": "caf\xe9"}', '{"user_id": "ü", "history": ["é"]}'.encode()]
    with WrongLines.beside(str(output)) as wrong:
        asked = wrong.left_out(read(b'\n'.join(lines)))
        answers = [json.loads(answer) for answer in ASKED.answers(asked)]
        wrong.check()
    assert answers == [
        {
            'user_id': 'u',
            'items': [
                {'item_id': 'b', 'title': 'B', 'score': 1.0},
                {'item_id': 'a', 'title': 'A', 'score': 1.0},
            ],
        },
        {'user_id': 'ü', 'items': [{'item_id': 'é', 'title': 'É', 'score': 1.0}]},
    ]
    (told,) = map(json.loads, (tmp_path / 'out.jsonl.errors.jsonl').read_text(encoding='utf-8').splitlines())
    assert told['line'] == 2 and told['text'] == '{"user_id": "caf\\xe9"}'
    assert 'in.jsonl, line 2: bytes that are not utf-8' in told['reason']


def test_where_no_line_is_right_nothing_is_written(tmp_path):
    with (
        pytest.raises(ValueError, match='no line could be answered: .* line 1'),
        WrongLines.beside(str(tmp_path / 'out.jsonl')) as wrong,
    ):
        assert list(wrong.left_out(read(b'[]\n'))) == []
        wrong.check()
    assert list(tmp_path.iterdir()) == []
