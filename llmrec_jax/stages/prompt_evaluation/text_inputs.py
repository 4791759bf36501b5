"""Prompts that no task materialised, as what a network is asked: tokens, in batches of like length."""

from collections.abc import Iterator, Sequence

import numpy as np

from llmrec_jax.stages.prompt_evaluation.eval_batches import EvalBatch, EvalBatches
from llmrec_jax.text.text_vocabulary import TextVocabulary
from llmrec_jax.training.columns import ColumnStore


def text_inputs(vocabulary: TextVocabulary, prompts: Sequence[str], input_length: int) -> ColumnStore:
    """The feature 'inputs' of each prompt, as tasks make it: cut to make room for the end token, and ended.

    Args:
      vocabulary: of the network.
      prompts: the texts.
      input_length: tokens of a full input.
    """
    rows = [[*vocabulary.encode(text)[: input_length - 1], vocabulary.eos_id] for text in prompts]
    return ColumnStore.in_memory({'inputs': [np.asarray(row, np.int64) for row in rows]})


def input_batches(
    inputs: ColumnStore, batch_size: int, input_length: int, length_buckets: tuple[int, ...]
) -> Iterator[EvalBatch]:
    """All inputs once; see `EvalBatches`.

    Args:
      inputs: with the feature 'inputs'.
      batch_size: inputs at once.
      input_length: tokens of a full input.
      length_buckets: shorter lengths that a batch may be padded to.
    """
    rows = np.arange(len(inputs))
    return EvalBatches(inputs, rows, batch_size, input_length, tuple(length_buckets)).after(0)
