"""A model's ways of answering, as its decoding is configured; kinds of answer choose among them."""

import dataclasses

import numpy as np
from jaxtyping import Int

from llmrec_jax.evaluation.answer_kinds.kind import Predictor, Scale
from llmrec_jax.stages.prompt_evaluation.decoding_config import DecodingConfig
from llmrec_jax.stages.prompt_evaluation.item_names import ItemNames
from llmrec_jax.stages.prompt_evaluation.item_predictors import (
    CandidateLikelihoodPredictor,
    CandidateSearchPredictor,
    CatalogueSearchPredictor,
    YesPredictor,
)
from llmrec_jax.stages.prompt_evaluation.placed_model import PlacedModel
from llmrec_jax.stages.prompt_evaluation.text_predictors import (
    ChoicePredictor,
    StarsPredictor,
    TextPredictor,
)


@dataclasses.dataclass(frozen=True, eq=False)
class ModelPredictors:
    """See `evaluation.answer_kinds.kind.Predictors`; what is compiled for one task serves all of its kind.

    Attributes:
      network: who answers.
      catalogue: the items' names.
      decoding: which decoder is for what.
    """

    network: PlacedModel
    catalogue: ItemNames
    decoding: DecodingConfig

    def texts(self, template: str) -> TextPredictor:
        """See `Predictors`."""
        return TextPredictor(self.network, self.decoding.text_decoder(template), self.decoding.seed)

    def stars(self, template: str, scale: Scale) -> Predictor:
        """See `Predictors`."""
        return StarsPredictor.on(self.texts(template), scale)

    def choice(self, template: str, words: tuple[str, str]) -> Predictor:
        """See `Predictors`."""
        return ChoicePredictor(self.texts(template), words)

    def items(self) -> Predictor:
        """See `Predictors`."""
        free = self.decoding.unconstrained
        beams = None if free is None else TextPredictor(self.network, free, self.decoding.seed)
        return CatalogueSearchPredictor(self.network, self.decoding.items, self.catalogue, beams)

    def candidates(self, offered: Int[np.ndarray, 'examples offered']) -> Predictor:
        """See `Predictors`."""
        decoding = self.decoding
        if decoding.candidates == 'search':
            return CandidateSearchPredictor(self.network, decoding.items, self.catalogue, offered)
        listed = decoding.items.beam_size
        return CandidateLikelihoodPredictor(self.network, self.catalogue, offered, listed)

    def yes_preference(self) -> Predictor:
        """See `Predictors`."""
        return YesPredictor.of(self.network)
