"""The recipe of a two-tower retriever: a sequential recommender that is served from an index."""

import dataclasses

from llmrec_jax.launch.sequential_recipe import SequentialRecipe
from llmrec_jax.retrieval.index_choice import IndexChoice
from llmrec_jax.text.encoder import TextEncoder


@dataclasses.dataclass(frozen=True)
class TwoTowerRecipe(SequentialRecipe):
    """What is run, and where; beside what a `SequentialRecipe` says.

    Any model whose scores are inner products may be served so, SASRec too.

    Attributes:
      text_encoder: from item text to the vectors that the item tower reads; None for a tower that reads none.
      item_fields: fields of an item that its sentence shows.
      index: which index the item tower's vectors get; ScaNN is tuned with the validation users' queries.
      depth: how many items the retriever ranks for a user; a target further down counts as not found.

    Raises:
      ValueError: when the parts do not fit one another.
    """

    text_encoder: TextEncoder | None = None
    item_fields: tuple[str, ...] = ('title', 'price', 'brand', 'categories')
    index: IndexChoice = dataclasses.field(default_factory=IndexChoice)
    depth: int = 100

    def __post_init__(self):
        super().__post_init__()
        if self.depth < self.list_length:
            raise ValueError(
                f'TwoTowerRecipe.depth={self.depth} is below TwoTowerRecipe.list_length={self.list_length}'
            )
