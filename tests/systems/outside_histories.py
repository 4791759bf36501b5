"""Histories of a finished run's own test users, asked as if they came from outside."""

import json
import pathlib
from collections.abc import Sequence

import numpy as np
import pytest

from llmrec_jax import infer
from llmrec_jax.corpora.splits import load_splits
from llmrec_jax.evaluation.per_user import PerUserResults

K, USERS = 4, 30


def check_answers_outside(
    recipe: Sequence[str], workdir: pathlib.Path, system: str, folder: pathlib.Path
) -> None:
    """Checks that `infer` lists for histories in a file what was listed for them in the evaluation."""
    shown = _lines(workdir / 'catalogue.jsonl')
    titles = {item['item_id']: item['title'] for item in shown}
    histories = load_splits(workdir / 'splits.npz').test.histories
    lists = PerUserResults.load(workdir / 'evaluation' / 'evaluate' / 'test_removed.npz').systems[system]
    asked = [[shown[item]['item_id'] for item in histories[row]] for row in range(USERS)]
    source, answer = folder / 'histories.jsonl', folder / 'answers.jsonl'
    source.write_text(
        ''.join(json.dumps({'user_id': f'u{n}', 'history': ids}) + '\n' for n, ids in enumerate(asked))
    )
    flags = [*recipe, f'--gin.WORKDIR={workdir}', f'--input={source}', f'--output={answer}', f'--k={K}']
    infer.main([*flags, '--seen_items=removed'])
    answers = _lines(answer)
    assert [one['user_id'] for one in answers] == [f'u{n}' for n in range(USERS)]
    for row, one in enumerate(answers):
        expected = [shown[item]['item_id'] for item in lists.items[row, :K]]
        assert [item['item_id'] for item in one['items']] == expected
        assert all(titles[item['item_id']] == item['title'] for item in one['items'])
        assert [item['score'] for item in one['items']] == pytest.approx(lists.scores[row, :K], rel=1e-4)
        assert not np.isin(expected, asked[row]).any()


def _lines(path: pathlib.Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]
