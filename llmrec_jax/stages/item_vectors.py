"""The stage that embeds the items' text."""

import dataclasses
import hashlib
import operator
from typing import Any, ClassVar

import numpy as np

from llmrec_jax import marks
from llmrec_jax.corpora.source import CorpusSource, identity
from llmrec_jax.runs.artifact import Artifact, array_artifact
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import Phase, Stage
from llmrec_jax.stages import corpus
from llmrec_jax.stages.corpus import CORPUS_FACTS
from llmrec_jax.text.text_encoder import TextEncoder

# Row `i` embeds the text of item `i`; float32 [items, dim].
ITEM_VECTORS: Artifact[np.ndarray] = array_artifact('item_vectors.npy')
# Row `i` is of item `i`, from training events alone; float32 [items, dim].
CO_OCCURRENCE_VECTORS: Artifact[np.ndarray] = array_artifact('co_occurrence_vectors.npy')


@dataclasses.dataclass(frozen=True)
class EmbedItems(Stage):
    """Embeds a sentence of each item.

    Attributes:
      corpus: whose items.
      data_dir: where it is prepared.
      encoder: from sentences to vectors.
      item_fields: fields of an item that its sentence shows.
    """

    corpus: CorpusSource = marks.described_by(identity)
    data_dir: str = marks.without_effect()
    encoder: TextEncoder = marks.described_by(operator.attrgetter('name'))
    item_fields: tuple[str, ...] = ('title', 'price', 'brand', 'categories')
    name: ClassVar[str] = 'item_vectors'
    phase: ClassVar[Phase] = 'prepare'
    reads: ClassVar = (CORPUS_FACTS,)
    writes: ClassVar = (ITEM_VECTORS,)

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        from llmrec_jax.text.item_text import item_sentences

        sentences = item_sentences(corpus.load(self.corpus, self.data_dir, run).items, self.item_fields)
        vectors = self.encoder.encode(sentences)
        run.put(ITEM_VECTORS, vectors)
        return {
            'encoder': self.encoder.name,
            'dim': int(vectors.shape[1]),
            'sha256': hashlib.sha256(vectors.tobytes()).hexdigest(),
            'example_sentence': sentences[0],
        }
