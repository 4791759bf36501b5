"""What studies of generative retrievers ask of them: to search once more, another way."""

from typing import Protocol, runtime_checkable

from llmrec_jax.stages.rank import TrainedRecommender


@runtime_checkable
class BeamRecommender(TrainedRecommender, Protocol):
    """A recommender that answers by a beam search of codes."""

    def searching(self, beam_size: int, temperature: float = 1.0) -> 'BeamRecommender':
        """The same with another search.

        Args:
          beam_size: prefixes kept at each level; lists are at most as long.
          temperature: divides the logits before each softmax.
        """
