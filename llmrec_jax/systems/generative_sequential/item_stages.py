"""Stages before training: what items occur with, and their codes."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from llmrec_jax.models.generative_sequential.coded_catalogue import CodedCatalogue, CodedCatalogueFacts
from llmrec_jax.models.generative_sequential.model import GenerativeSequentialModel
from llmrec_jax.runs.artifact import Artifact
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import Phase, Stage
from llmrec_jax.semantic_ids.co_occurrence import CoOccurrence, joined
from llmrec_jax.semantic_ids.quantization import Quantizer
from llmrec_jax.stages.catalogue_network import CatalogueNetwork
from llmrec_jax.stages.corpus import CATALOGUE, SPLITS
from llmrec_jax.stages.item_vectors import CO_OCCURRENCE_VECTORS, ITEM_VECTORS
from llmrec_jax.stages.semantic_ids import CODE_TABLE, LearnSemanticIds

# A level has at most so many codewords as leave this many items to each.
ITEMS_A_CODEWORD = 4


@runtime_checkable
class FittingQuantizer(Quantizer, Protocol):
    """A quantizer whose codebooks can be made smaller."""

    @property
    def codebook_sizes(self) -> Sequence[int]:
        """Codewords of each level."""

    @property
    def width_multiple(self) -> int:
        """What the vectors' width must be a multiple of."""

    def at_most(self, codewords: int) -> 'FittingQuantizer':
        """The same with at most so many codewords a level."""


@dataclasses.dataclass(frozen=True)
class EmbedCoOccurrence(Stage):
    """Embeds items by what they occur with in the training histories.

    Attributes:
      co_occurrence: how.
    """

    co_occurrence: CoOccurrence
    name: ClassVar[str] = 'co_occurrence'
    phase: ClassVar[Phase] = 'prepare'
    reads: ClassVar = (SPLITS, CATALOGUE)
    writes: ClassVar = (CO_OCCURRENCE_VECTORS,)

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        vectors = self.co_occurrence.vectors(run[SPLITS].train, len(run[CATALOGUE]))
        run.put(CO_OCCURRENCE_VECTORS, vectors)
        return {'dim': int(vectors.shape[1]), 'items_alone': int((~vectors.any(axis=1)).sum())}


@dataclasses.dataclass(frozen=True, kw_only=True)
class LearnItemCodes(LearnSemanticIds):
    """Codes of items by their text and by what they occur with; attributes as in `LearnSemanticIds`, and

    Attributes:
      quantizer: likewise; its codebooks are made to fit the catalogue.
      text_weight: of the texts' vectors.
      co_occurrence_weight: of the co-occurrence's.
    """

    quantizer: FittingQuantizer
    text_weight: float
    co_occurrence_weight: float
    reads: ClassVar = (ITEM_VECTORS, CO_OCCURRENCE_VECTORS, CATALOGUE)

    def vectors(self, run: Run) -> Float[np.ndarray, 'items dim']:
        """See `LearnSemanticIds`."""
        found = joined(
            (self.text_weight, run[ITEM_VECTORS]), (self.co_occurrence_weight, run[CO_OCCURRENCE_VECTORS])
        )
        # Columns of zeros change no distance; a small corpus has vectors of any width.
        return np.pad(found, ((0, 0), (0, -found.shape[1] % self.quantizer.width_multiple)))

    def fitting_quantizer(self, n_items: int) -> FittingQuantizer:
        """The quantizer, with smaller codebooks where the catalogue is small."""
        return self.quantizer.at_most(max(1, n_items // ITEMS_A_CODEWORD))


@dataclasses.dataclass(frozen=True)
class CodedCatalogueNetwork(CatalogueNetwork):
    """A generative sequential retriever, completed by the codes of the catalogue; attributes as there."""

    recipe: GenerativeSequentialModel
    codes: ClassVar = CODE_TABLE

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """See `networks.Network`."""
        return (*super().reads, CODE_TABLE)

    def model(self, run: Run) -> GenerativeSequentialModel:
        """See `networks.Network`."""
        table = run[CODE_TABLE]
        coded = run.once(('coded', table.fingerprint), lambda: CodedCatalogue.of(table))
        facts = CodedCatalogueFacts(**vars(self.facts(run)), coded=coded)
        return self.recipe.for_catalogue(facts)
