"""Texts of like length together, padded to a few lengths only, so that few programs are compiled."""

import bisect
import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int, Int32

BUCKETS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)


class LengthBatch(NamedTuple):
    """Texts padded to one length.

    Attributes:
      texts: the indices of the texts, which are the first rows.
      pieces: their word pieces, 0 where there are none.
      mask: where there are some.
    """

    texts: Int[np.ndarray, 'rows']
    pieces: Int32[np.ndarray, 'batch length']
    mask: Bool[np.ndarray, 'batch length']


def length_batches(pieces: Sequence[Sequence[int]], batch_size: int, longest: int) -> Iterator[LengthBatch]:
    """Cuts the texts into batches of one shape for each bucket of lengths.

    Args:
      pieces: the word pieces of each text, `longest` at most.
      batch_size: rows of every batch; the last of a bucket is filled with empty ones.
      longest: the last bucket ends here.

    Yields:
      Batches that together hold every text once.
    """
    buckets = [*(bucket for bucket in BUCKETS if bucket < longest), longest]
    order = sorted(range(len(pieces)), key=lambda text: len(pieces[text]))
    for bucket, group in itertools.groupby(
        order, key=lambda text: buckets[bisect.bisect_left(buckets, len(pieces[text]))]
    ):
        texts = list(group)
        for start in range(0, len(texts), batch_size):
            rows = texts[start : start + batch_size]
            padded = np.zeros((batch_size, bucket), np.int32)
            mask = np.zeros((batch_size, bucket), bool)
            for place, text in enumerate(rows):
                padded[place, : len(pieces[text])] = pieces[text]
                mask[place, : len(pieces[text])] = True
            yield LengthBatch(np.array(rows), padded, mask)
