"""Packing: several short examples in one row, told apart by segment ids.

A row's `inputs` are the inputs of its examples, one after the other; `inputs_segment_ids` says of each token
which example it is of, counted from 1, and `inputs_positions` its place in that example, counted from 0; the
same for every other feature. These are the names and meanings of SeqIO's packing. Attention is confined to a
segment, so that a packed row computes what its examples would compute in rows of their own.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Int

SEGMENT_IDS, POSITIONS = 'segment_ids', 'positions'
# Rows kept open at once: more pack tighter and take longer to look through.
WINDOW = 128

Example = Mapping[str, Int[np.ndarray, '_']]


def companions(feature: str) -> tuple[str, str]:
    """Names of the segment ids and positions that go with a packed feature."""
    return f'{feature}_{SEGMENT_IDS}', f'{feature}_{POSITIONS}'


def pack(
    examples: Iterable[Example], lengths: Mapping[str, int], window: int = WINDOW
) -> Iterator[dict[str, Int[np.ndarray, '_']]]:
    """Packs first-fit: an example goes to the oldest open row in which all its features have room.

    A row is closed when a feature is full, or when it is the oldest of `window` open ones and none of them
    has room; then it comes out. Which examples share a row depends on their order and lengths alone.

    Args:
      examples: each with the features of `lengths`, one token or more in each.
      lengths: tokens of each feature that a row has room for.
      window: rows that are open at once.

    Yields:
      Rows: the features and their `companions`, unpadded.

    Raises:
      ValueError: when a length or the window is below 1, or an example does not fit an empty row or has an
        empty feature; the message says which.
    """
    if window < 1 or not lengths or min(lengths.values()) < 1:
        raise ValueError(f'packing needs a window and lengths of at least 1, got window={window}, {lengths}')
    room = np.zeros((0, len(lengths)), np.int64)
    rows: list[list[Example]] = []
    for number, example in enumerate(examples):
        need = _need(number, example, lengths)
        fitting = np.flatnonzero((room >= need).all(axis=1))
        if len(fitting):
            row = int(fitting[0])
        else:
            if len(rows) == window:
                yield _joined(rows.pop(0), lengths)
                room = room[1:]
            row = len(rows)
            rows.append([])
            room = np.concatenate([room, [list(lengths.values())]])
        rows[row].append(example)
        room[row] -= need
        if not room[row].all():
            yield _joined(rows.pop(row), lengths)
            room = np.delete(room, row, axis=0)
    for row in rows:
        yield _joined(row, lengths)


def _need(number: int, example: Example, lengths: Mapping[str, int]) -> Int[np.ndarray, 'features']:
    need = [len(example[feature]) for feature in lengths]
    for (feature, length), tokens in zip(lengths.items(), need, strict=True):
        if tokens > length:
            raise ValueError(
                f'example {number} has {tokens} tokens of {feature!r}, more than the {length} of a packed '
                f'row: raise the feature length or trim the examples'
            )
        if not tokens:
            # A softmax over no key of its own would fall on the other examples' keys.
            raise ValueError(f'example {number} has no {feature!r}, and so cannot be packed: leave it out')
    return np.array(need)


def _joined(examples: Sequence[Example], lengths: Mapping[str, int]) -> dict[str, Int[np.ndarray, '_']]:
    row = {}
    for feature in lengths:
        parts = [np.asarray(example[feature], np.int32) for example in examples]
        segment_ids, positions = companions(feature)
        row[feature] = np.concatenate(parts)
        row[segment_ids] = np.repeat(
            np.arange(1, len(parts) + 1, dtype=np.int32), [len(part) for part in parts]
        )
        row[positions] = np.concatenate([np.arange(len(part), dtype=np.int32) for part in parts])
    return row
