"""The splits of a corpus as one file of arrays, which training and decoding read without TensorFlow."""

import os
import zipfile

import numpy as np

from llmrec_jax import files
from llmrec_jax.corpora.splits import RankingCases, Sequences, Splits


def save_splits(splits: Splits, path: str | os.PathLike) -> None:
    """Writes `splits` to `path` (.npz), whole or not at all."""
    arrays = {'train/values': splits.train.values, 'train/offsets': splits.train.offsets}
    for name, cases in (('validation', splits.validation), ('test', splits.test)):
        arrays[f'{name}/user'] = cases.user
        arrays[f'{name}/values'] = cases.histories.values
        arrays[f'{name}/offsets'] = cases.histories.offsets
        arrays[f'{name}/target'] = cases.target
    with files.written_whole(path) as file:
        np.savez(file, **arrays)


def load_splits(path: str | os.PathLike) -> Splits:
    """Reads what `save_splits` wrote.

    Raises:
      FileNotFoundError: when it is not there.
      ValueError: when the file is damaged.
    """
    try:
        with np.load(path) as arrays:
            cases = {
                name: RankingCases(
                    arrays[f'{name}/user'],
                    Sequences(arrays[f'{name}/values'], arrays[f'{name}/offsets']),
                    arrays[f'{name}/target'],
                )
                for name in ('validation', 'test')
            }
            return Splits(Sequences(arrays['train/values'], arrays['train/offsets']), **cases)
    except (zipfile.BadZipFile, KeyError, EOFError, ValueError) as error:
        raise ValueError(f'{path} is damaged ({error}); delete it and run the corpus stage again') from error
