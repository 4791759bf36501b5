"""Runs a SeqIO task once and keeps its examples as columns, so that training imports no TensorFlow."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import seqio

from llmrec_jax.stages.failing_examples import failures_located
from llmrec_jax.stages.task_provenance import sentencepiece_models, task_provenance
from llmrec_jax.training.column_writer import Block, ColumnWriter
from llmrec_jax.training.columns import ColumnStore
from llmrec_jax.training.packing import companions, pack

BATCH = 4096

Columns = dict[str, Block]


def materialise(
    task: str,
    split: str,
    directory: str | os.PathLike,
    *,
    feature_lengths: Mapping[str, int] | None,
    kept: Sequence[str] = (),
    tallied: Sequence[str] = (),
    provenance: Mapping[str, Any],
    num_shards: int = 1,
    seed: int = 0,
    epochs: int = 1,
    examples: int | None = None,
    packing: bool = False,
    progress: Callable[[int], None] = lambda examples: None,
) -> ColumnStore:
    """Writes the examples of `split`, unpadded, in the task's own order, with their SentencePiece models.

    Args:
      task: a name in SeqIO's registry of tasks or mixtures.
      split: e.g. 'train'.
      directory: of the columns; see `training.columns`.
      feature_lengths: SeqIO's `sequence_length`, in tokens, to which examples are trimmed; None for no
        trimming.
      kept: integer fields beside the task's features that go along, e.g. 'user'.
      tallied: integer fields, one number an example, that are counted and not written: the provenance's
        'tallies' say of each in how many rows it is not 0, and its sum.
      provenance: what the examples were made from, beside what the task says itself.
      num_shards: files that each feature is dealt to.
      seed: of the task's random preprocessors and of a mixture's draws.
      epochs: times the examples are gone through, for tasks whose preprocessors draw anew every time.
      examples: how many to write, from a task that repeats or, by their rates, from a mixture's tasks; None
        for every example of a task, `epochs` times.
      packing: whether short examples share rows of `feature_lengths`.
      progress: called with the number of examples run so far.

    Raises:
      ValueError: when there is no such split or field, when a field is not of integers, when an example
        cannot be made, or when what is asked for does not fit together.
      ColumnError: when the split is empty.
    """
    provider = seqio.get_mixture_or_task(task)
    features = tuple(provider.output_features)
    if split not in provider.splits:
        raise ValueError(
            f'task {task!r} has no split {split!r}; its splits are {", ".join(sorted(provider.splits))}'
        )
    if examples is None and isinstance(provider, seqio.Mixture):
        raise ValueError(
            f'{task!r} is a mixture, which has no end of its own: say how many examples to draw by its rates'
        )
    if packing and (kept or feature_lengths is None or set(feature_lengths) != set(features)):
        raise ValueError(
            f'packing needs feature lengths for {", ".join(features)}, got {feature_lengths}, and keeps no '
            f'other field, got {list(kept)}: a packed row has no user or item of its own'
        )
    dataset = _dataset(provider, split, feature_lengths, (*kept, *tallied), seed, epochs, examples)
    counted = _Counted(_blocks(dataset, (*features, *kept, *tallied), task), tallied, progress)
    written = [name for feature in features for name in (feature, *companions(feature))] if packing else None
    with (
        failures_located(provider, split, feature_lengths, seed),
        ColumnWriter(directory, written or (*features, *kept), num_shards) as writer,
    ):
        for block in _packed(counted, feature_lengths) if packing else counted:
            writer.append(block)
        facts = {
            'split': split,
            'feature_lengths': None if feature_lengths is None else dict(feature_lengths),
            'seed': seed,
            'epochs': epochs if examples is None else None,
            'examples': counted.examples,
            'packed': packing,
            **({'tallies': counted.tallies} if tallied else {}),
        }
        for name, model in sentencepiece_models(provider).items():
            writer.keep(name, model)
        writer.finish({**task_provenance(provider), **facts, **provenance})
    return ColumnStore.open(directory)


def padding_free(store: ColumnStore, feature_lengths: Mapping[str, int]) -> dict[str, float]:
    """Share of each feature that is tokens, not padding, when all rows are padded to `feature_lengths`."""
    tokens = {name: store.manifest['features'][name]['tokens'] for name in feature_lengths}
    return {name: sum(tokens[name]) / (len(store) * length) for name, length in feature_lengths.items()}


class _Counted:
    """Blocks without the fields that are only counted, and how much they held."""

    def __init__(self, blocks: Iterable[Columns], tallied: Sequence[str], progress: Callable[[int], None]):
        self._blocks, self._progress, self.examples = blocks, progress, 0
        self.tallies = {field: {'rows': 0, 'total': 0} for field in tallied}

    def __iter__(self) -> Iterator[Columns]:
        for block in self._blocks:
            for field, tally in self.tallies.items():
                values = block.pop(field).values
                tally['rows'] += int(np.count_nonzero(values))
                tally['total'] += int(values.sum())
            self.examples += len(next(iter(block.values())).lengths)
            self._progress(self.examples)
            yield block


def _dataset(
    provider: Any,
    split: str,
    feature_lengths: Mapping[str, int] | None,
    kept: Sequence[str],
    seed: int,
    epochs: int,
    examples: int | None,
) -> Any:
    passthrough = {'passthrough_features': list(kept)} if isinstance(provider, seqio.Mixture) else {}
    dataset = provider.get_dataset(
        sequence_length=None if feature_lengths is None else dict(feature_lengths),
        split=split,
        shuffle=False,
        seed=seed,
        num_epochs=epochs if examples is None else None,
        **passthrough,
    )
    return dataset if examples is None else dataset.take(examples)


def _blocks(dataset: Any, fields: Sequence[str], task: str) -> Iterator[Columns]:
    spec = dataset.element_spec
    for field in fields:
        if field not in spec:
            raise ValueError(
                f'task {task!r} has no field {field!r}; its fields are {", ".join(sorted(spec))}'
            )
        if not spec[field].dtype.is_integer or spec[field].shape.rank not in (0, 1):
            raise ValueError(
                f'task {task!r}: field {field!r} is {spec[field]}; columns hold integers, '
                f'one or a row of them an example'
            )
    dataset = dataset.map(lambda example: {field: example[field] for field in fields})
    for batch in dataset.ragged_batch(BATCH):
        yield {field: _block(batch[field]) for field in fields}


def _block(column: Any) -> Block:
    """The values and row lengths of a batch of ragged rows, rows of one length, or scalars."""
    if hasattr(column, 'row_lengths'):
        return Block(column.flat_values.numpy(), column.row_lengths().numpy())
    rows = column.numpy()
    return Block(rows.reshape(-1), np.full(len(rows), int(np.prod(rows.shape[1:])), np.int64))


def _packed(blocks: Iterable[Columns], lengths: Mapping[str, int]) -> Iterator[Columns]:
    rows: list[dict[str, np.ndarray]] = []
    for row in pack(_examples(blocks), lengths):
        rows.append(row)
        if len(rows) == BATCH:
            yield _joined(rows)
            rows = []
    if rows:
        yield _joined(rows)


def _examples(blocks: Iterable[Columns]) -> Iterator[dict[str, np.ndarray]]:
    for block in blocks:
        split = {
            name: np.split(column.values, np.cumsum(column.lengths)[:-1]) for name, column in block.items()
        }
        yield from (dict(zip(split, row, strict=True)) for row in zip(*split.values(), strict=True))


def _joined(rows: Sequence[Mapping[str, np.ndarray]]) -> Columns:
    return {
        name: Block(
            np.concatenate([row[name] for row in rows]), np.array([len(row[name]) for row in rows], np.int64)
        )
        for name in rows[0]
    }
