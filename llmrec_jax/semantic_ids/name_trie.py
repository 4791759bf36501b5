"""The trie of a catalogue whose ids are words: sequences of pieces of different lengths, each ended by the
end token."""

from collections.abc import Sequence

import numpy as np

from llmrec_jax.semantic_ids.trie import Trie, build_trie

PAD = 0


def name_trie(
    names_tokens: Sequence[Sequence[int]], eos_id: int = 1, *, names: Sequence[str] | None = None
) -> Trie:
    """The trie of a catalogue's names, for `decoding.NameSearch`.

    A name may begin with another whole name: the end token tells them apart. Behind the end token a name is
    padded with 0 to the length of the longest. No level has a dense table, which would be as wide as the
    vocabulary: a search looks at a node's own children alone.

    Args:
      names_tokens: row `i` holds the pieces of item `i`'s name, without end token (a vocabulary's `encode`).
      eos_id: the vocabulary's end token.
      names: the names themselves, for the errors' sake.

    Raises:
      ValueError: when there is no name, a name has no piece or holds the padding or the end token, or two
        names have the same pieces.
    """
    if not len(names_tokens):
        raise ValueError('a trie of names needs at least one name')

    def described(item: int) -> str:
        return f'item {item}' if names is None else f'item {item} ({names[item]!r})'

    lengths = np.array([len(row) for row in names_tokens])
    rows = np.full((len(names_tokens), lengths.max() + 1), PAD, np.int64)
    for item, pieces in enumerate(names_tokens):
        if not len(pieces) or min(pieces) <= PAD or eos_id in pieces:
            raise ValueError(
                f'the name of {described(item)} has the pieces {list(pieces)}: a name needs one at least, '
                f'and neither the padding {PAD} nor the end token {eos_id} may be among them'
            )
        rows[item, : len(pieces)] = pieces
        rows[item, len(pieces)] = eos_id
    unique, counts = np.unique(rows, axis=0, return_counts=True)
    if len(unique) < len(rows):
        shared = unique[counts > 1][0]
        one, other = np.flatnonzero((rows == shared).all(axis=1))[:2].tolist()
        raise ValueError(
            f'{described(one)} and {described(other)} have the same pieces {list(names_tokens[one])}: '
            'no search can tell them apart. Give them names that differ after encoding'
        )
    return build_trie(rows, dense_levels=0)
