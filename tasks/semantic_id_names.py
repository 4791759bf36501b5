"""Items called by their semantic IDs: the naming scheme for prompts that reads a code table."""

import dataclasses
from typing import ClassVar

from llmrec_jax.corpora.corpus import Corpus
from llmrec_jax.corpora.splits import Sequences
from llmrec_jax.prompts.naming.numbers import CodeNames
from llmrec_jax.semantic_ids.code_table import CodeTable


@dataclasses.dataclass(frozen=True)
class SemanticIdNames:
    """Names such as '<0_12><1_55><2_8><3_0>'; see `prompts.naming.numbers.CodeNames`.

    Attributes:
      code_table: the file of the table; read when names are asked for.
    """

    code_table: str
    leaks: ClassVar[bool] = False

    def item_names(self, corpus: Corpus, train: Sequences) -> list[str]:
        """See `prompts.naming.scheme.ItemNaming`.

        Raises:
          FileNotFoundError: when there is no table.
          ValueError: when the table is damaged, or is of another catalogue.
        """
        return CodeNames(CodeTable.load(self.code_table).codes).item_names(corpus, train)
