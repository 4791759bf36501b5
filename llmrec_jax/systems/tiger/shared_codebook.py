"""One codebook for several corpora: items are quantized beside those of others (TIGER, ablation)."""

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from llmrec_jax import marks
from llmrec_jax.corpora.source import CorpusSource, identity
from llmrec_jax.runs.artifact import Artifact, array_artifact
from llmrec_jax.runs.run import Run
from llmrec_jax.semantic_ids.quantization import Progress, Quantization, Quantizer
from llmrec_jax.stages import corpus
from llmrec_jax.stages.corpus import CATALOGUE
from llmrec_jax.stages.item_vectors import ITEM_VECTORS, EmbedItems
from llmrec_jax.stages.semantic_ids import LearnSemanticIds

# Items of the other corpora, one after the other, in the space of `ITEM_VECTORS`; float32 [items, dim].
OTHER_VECTORS: Artifact[np.ndarray] = array_artifact('other_vectors.npy')


def _identities(sources: Sequence[CorpusSource]) -> list[Any]:
    return [identity(source) for source in sources]


@dataclasses.dataclass(frozen=True)
class EmbedWithOthers(EmbedItems):
    """Embeds the corpus's items and those of others in one call, so that an encoder is fitted to all of them.

    Attributes as in `EmbedItems`, and

    Attributes:
      others: whose items are embedded beside.
    """

    others: tuple[CorpusSource, ...] = marks.described_by(_identities, ())
    writes: ClassVar = (ITEM_VECTORS, OTHER_VECTORS)

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        from llmrec_jax.text.item_text import item_sentences

        sources = (self.corpus, *self.others)
        sentences = [
            item_sentences(corpus.load(source, self.data_dir, run).items, self.item_fields)
            for source in sources
        ]
        vectors = self.encoder.encode([sentence for of_one in sentences for sentence in of_one])
        own, others = np.split(vectors, [len(sentences[0])])
        run.put(ITEM_VECTORS, own)
        run.put(OTHER_VECTORS, others)
        return {
            'encoder': self.encoder.name,
            'dim': int(vectors.shape[1]),
            'sha256': hashlib.sha256(own.tobytes()).hexdigest(),
            'example_sentence': sentences[0][0],
            'other_items': len(others),
        }


@dataclasses.dataclass(frozen=True)
class BesideOthers:
    """A quantizer that learns from further vectors too, which get no codes.

    Attributes:
      quantizer: learns the codebooks.
      sha256: of the further vectors.
      others: the vectors; told by their hash where settings are written down.
    """

    quantizer: Quantizer
    sha256: str
    others: dataclasses.InitVar[Float[np.ndarray, 'others dim']]

    def __post_init__(self, others: Float[np.ndarray, 'others dim']):
        object.__setattr__(self, '_others', others)

    def quantize(
        self, vectors: Float[np.ndarray, 'items dim'], seed: int, progress: Progress | None = None
    ) -> Quantization:
        """See `Quantizer`; rates of collisions are of all vectors."""
        together = np.concatenate([vectors, self._others])
        found, own = self.quantizer.quantize(together, seed, progress), slice(len(vectors))
        return dataclasses.replace(found, codes=found.codes[own], reconstruction=found.reconstruction[own])


@dataclasses.dataclass(frozen=True)
class LearnSharedSemanticIds(LearnSemanticIds):
    """Codes from codebooks that the items of other corpora are learned in too; attributes as there."""

    reads: ClassVar = (ITEM_VECTORS, OTHER_VECTORS, CATALOGUE)

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        others = run[OTHER_VECTORS]
        shared = BesideOthers(self.quantizer, hashlib.sha256(others.tobytes()).hexdigest(), others)
        alone = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return LearnSemanticIds(**{**alone, 'quantizer': shared}).run(run)
