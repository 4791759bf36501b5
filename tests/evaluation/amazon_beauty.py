"""Amazon Beauty as papers.md 0.4 used it: the published ids, in the published order."""

import pathlib

import pytest

from llmrec_jax.corpora.sequence_files import SequenceFiles
from llmrec_jax.corpora.splits import Splits, leave_last_out

DIRECTORY = pathlib.Path(__file__).parents[3] / 'shared' / 'data' / 'amazon-beauty'


def splits_or_skip() -> tuple[Splits, int]:
    """The leave-last-out splits and the number of items; skips the test where the data is not there."""
    if not (DIRECTORY / 'sequential.txt').is_file():
        pytest.skip(f'{DIRECTORY} is not here')
    corpus = SequenceFiles(str(DIRECTORY), relabel_seed=None).build()
    return leave_last_out(corpus), len(corpus.items)
