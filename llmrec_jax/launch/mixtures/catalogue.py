"""The items as a language model writes them: names, their tokens, and the trie of all names."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int

from llmrec_jax.launch.mixtures.text_answers import padded_names
from llmrec_jax.prompts.palr.answers import TitleIndex
from llmrec_jax.semantic_ids.name_trie import name_trie
from llmrec_jax.semantic_ids.trie import Trie
from llmrec_jax.text.text_vocabulary import TextVocabulary


@dataclasses.dataclass(frozen=True, eq=False)
class Catalogue:
    """Names of all items.

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
