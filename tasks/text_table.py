"""A file of texts and answers as the source of a SeqIO task; needs TensorFlow."""

import functools
import os
from collections.abc import Mapping, Sequence

import seqio
import tensorflow as tf

from llmrec_jax.text.text_table import COLUMNS, read_text_table


def text_table(
    files: Mapping[str, str | os.PathLike], columns: Sequence[str] | Mapping[str, str] = COLUMNS
) -> seqio.FunctionDataSource:
    """The source of a task whose splits are files of tab-separated values, a text and its answer a line.

    A file is read, and looked at whole, when its split is asked for.

    Args:
      files: name of a split -> its file.
      columns: the features of an example, in the files' order or by the names of their headers; see
        `llmrec_jax.text.text_table.read_text_table`, which says what is refused.
    """
    dataset = functools.partial(_dataset, files=dict(files), columns=columns)
    return seqio.FunctionDataSource(dataset, splits=list(files))


def _dataset(
    split: str,
    shuffle_files: bool,
    seed: int | None = None,
    *,
    files: Mapping[str, str | os.PathLike],
    columns: Sequence[str] | Mapping[str, str],
) -> tf.data.Dataset:
    """See `seqio.FunctionDataSource`; one file has no order of files to shuffle."""
    del shuffle_files, seed
    return tf.data.Dataset.from_tensor_slices(read_text_table(files[split], columns))
