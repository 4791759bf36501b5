"""A recipe over examples that were materialised before, made ready for T5X."""

import dataclasses
import functools

from llmrec_jax.launch.fine_tuning import FineTuning, open_examples
from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.t5x.driven_model import trainable
from llmrec_jax.training.columns import ColumnStore


@dataclasses.dataclass(frozen=True, eq=False)
class PreparedStore:
    """Stands where `PreparedRun` does, without stages and without a SeqIO task.

    Attributes:
      recipe: what the embedded engine would run.
    """

    recipe: FineTuning

    @functools.cached_property
    def model(self) -> EncoderDecoderModel:
        """The recipe's model with its optimizer."""
        return trainable(self.recipe.model, self.recipe.trainer)

    def examples(self, split: str) -> ColumnStore:
        """The recipe's training examples, whatever `split` they were of."""
        del split
        return open_examples(self.recipe.examples, self.recipe.model)
