"""The items as a language model writes them: names, their tokens, and the trie of all names."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int

from llmrec_jax.prompts.palr.answers import TitleIndex, written_titles
from llmrec_jax.semantic_ids.trie import Trie, name_trie
from llmrec_jax.text.text_vocabulary import TextVocabulary


@dataclasses.dataclass(frozen=True, eq=False)
class ItemNames:
    """Names of all items; see `evaluation.answer_kinds.kind.NamedItems`.

    Attributes:
      names: by row of the catalogue.
      vocabulary: what they are written in.
    """

    names: Sequence[str]
    vocabulary: TextVocabulary

    @functools.cached_property
    def name_tokens(self) -> Int[np.ndarray, 'items length']:
        """Tokens of each name, ended by EOS and padded with 0."""
        return padded_names(self.vocabulary, self.names)

    @property
    def longest(self) -> int:
        """Tokens of the longest name, its end token included."""
        return self.name_tokens.shape[1]

    @functools.cached_property
    def trie(self) -> Trie:
        """All names as the constraint of a search."""
        eos = self.vocabulary.eos_id
        return name_trie([self.vocabulary.encode(name) for name in self.names], eos, names=self.names)

    def as_names(self, texts: Sequence[str]) -> list[str]:
        """Each text, or the item's name that it is to this vocabulary, which may not hold every character."""
        return [self._read_back.get(text, text) for text in texts]

    def listed(self, text: str) -> list[str]:
        """What a written list names, in its order: items' names, and texts that name none."""
        found = [(title, self.titles.find(title)) for title in written_titles(text)]
        return [title if item is None else self.names[item] for title, item in found]

    @functools.cached_property
    def titles(self) -> TitleIndex:
        """All names, to read lists of them by.

        Raises:
          ValueError: when two names are the same to this vocabulary.
        """
        return TitleIndex([self.vocabulary.normalized(name) for name in self.names])

    @functools.cached_property
    def _read_back(self) -> Mapping[str, str]:
        return {self.vocabulary.decode(self.vocabulary.encode(name)): name for name in self.names}


def padded_names(vocabulary: TextVocabulary, names: Sequence[str]) -> Int[np.ndarray, 'names length']:
    """Tokens of the names, each ended by EOS, padded with 0 to the longest."""
    rows = [[*vocabulary.encode(name), vocabulary.eos_id] for name in names]
    padded = np.zeros((len(rows), max(map(len, rows))), np.int32)
    for place, row in enumerate(rows):
        padded[place, : len(row)] = row
    return padded
