"""Items called by their semantic IDs."""

import dataclasses
from typing import ClassVar

import numpy as np
from jaxtyping import Int

from llmrec_jax.corpora.corpus import Corpus
from llmrec_jax.corpora.splits import Sequences


@dataclasses.dataclass(frozen=True)
class CodeNames:
    """One word an item, of its codes level by level: '<0_12><1_55><2_8>'.

    Its parts are the tokens of the semantic-ID vocabulary, so that a text vocabulary to which those are added
    as symbols reads a code as one piece.

    Attributes:
      codes: row `i` is item `i`'s code at each level.
    """

    codes: Int[np.ndarray, 'items levels']
    leaks: ClassVar[bool] = False

    def item_names(self, corpus: Corpus, train: Sequences) -> list[str]:
        """See `scheme.ItemNaming`.

        Raises:
          ValueError: when the codes are not one row an item, or two items have the same.
        """
        if len(self.codes) != len(corpus.items):
            raise ValueError(f'{corpus.name}: {len(self.codes)} rows of codes for {len(corpus.items)} items')
        names = [
            ''.join(f'<{level}_{code}>' for level, code in enumerate(codes)) for codes in self.codes.tolist()
        ]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f'{corpus.name}: two items have the codes {twice}: resolve collisions first')
        return names
