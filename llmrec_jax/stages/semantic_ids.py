"""The stage that learns semantic IDs, and shows what came of it."""

import dataclasses
import logging
import pathlib
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from llmrec_jax import files
from llmrec_jax.evaluation.report.report_data import Picture
from llmrec_jax.runs.artifact import Artifact, json_artifact, place
from llmrec_jax.runs.record import facts_of
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import Phase, Stage
from llmrec_jax.semantic_ids.code_table import CodeTable, build_code_table
from llmrec_jax.semantic_ids.diagnostics import check_health, constant_level, diagnose, example_neighbours
from llmrec_jax.semantic_ids.quantization import Quantization, Quantizer
from llmrec_jax.semantic_ids.token_layout import TokenLayout
from llmrec_jax.semantic_ids.trie import Trie, build_trie
from llmrec_jax.stages.corpus import CATALOGUE
from llmrec_jax.stages.item_vectors import ITEM_VECTORS

LOG = logging.getLogger(__name__)


def _load_table(path: pathlib.Path) -> CodeTable:
    return CodeTable.load(path)


def _save_table(table: CodeTable, path: pathlib.Path) -> None:
    table.save(path)


CODE_TABLE: Artifact[CodeTable] = Artifact('code_table.npz', load=_load_table, save=_save_table)
# What is to be looked at of the codes.
DIAGNOSTICS = json_artifact('semantic_ids/diagnostics.json')
NEIGHBOURS = json_artifact('semantic_ids/neighbours.json')
PICTURES = place('semantic_ids')
SEMANTIC_ID_FACTS = facts_of('semantic_ids')
CAPTIONS = 'captions.json'


@dataclasses.dataclass(frozen=True)
class LearnSemanticIds(Stage):
    """Quantizes the item vectors and resolves collisions (TIGER, section 3.1).

    Attributes:
      quantizer: from item vectors to the learned levels.
      layout: whose codebooks the table must have, the collision level included, if there is one; None for a
        collision level sized by need.
      seed: of the quantizer.
      encoder: name of what the vectors came from, for the table's provenance.
      example_seed: of the draw of example neighbours.
    """

    quantizer: Quantizer
    layout: TokenLayout | None = None
    seed: int = 0
    encoder: str = ''
    example_seed: int = 0
    name: ClassVar[str] = 'semantic_ids'
    phase: ClassVar[Phase] = 'prepare'
    reads: ClassVar = (ITEM_VECTORS, CATALOGUE)
    writes: ClassVar = (CODE_TABLE, DIAGNOSTICS, NEIGHBOURS, PICTURES)

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`.

        Raises:
          ValueError: when the codebooks are not the layout's.
        """
        vectors = self.vectors(run)
        sizes = None if self.layout is None else self.layout.codebook_sizes
        table, quantization = build_code_table(
            vectors,
            self.fitting_quantizer(len(vectors)),
            seed=self.seed,
            codebook_sizes=sizes,
            provenance={'encoder': self.encoder},
        )
        run.put(CODE_TABLE, table)
        found = diagnose(quantization, vectors)
        collision_level = table.codes[:, len(found['codebook_sizes']) :]
        findings = check_health(found)
        # A level that is sized by need is left out of the network where it says nothing.
        if sizes is not None and collision_level.size:
            findings += constant_level(table.codes)
        for finding in findings:
            LOG.warning('semantic IDs: %s', finding)
        facts = {
            'fingerprint': table.fingerprint,
            'codebook_sizes': list(table.codebook_sizes),
            'diagnostics': found,
            'findings': findings,
        }
        run.put(DIAGNOSTICS, facts)
        run.put(NEIGHBOURS, _neighbours(quantization, run[CATALOGUE].title, self.example_seed))
        _draw(run.path(PICTURES), quantization, table, vectors)
        return facts

    def vectors(self, run: Run) -> Float[np.ndarray, 'items dim']:
        """What the items are quantized by."""
        return run[ITEM_VECTORS]

    def fitting_quantizer(self, n_items: int) -> Quantizer:
        """The quantizer for a catalogue of so many items."""
        del n_items
        return self.quantizer


def trie_of(table: CodeTable, layout: TokenLayout) -> Trie:
    """The semantic IDs as the constraint of a search, in the layout's tokens."""
    ranges = tuple(zip(layout.level_offsets, layout.codebook_sizes, strict=True))
    return build_trie(layout.item_tokens(table.codes), level_ranges=ranges)


def pictures(run: Run) -> list[Picture]:
    """What the stage drew, for the report; none where it is not done."""
    captions = run.path(PICTURES) / CAPTIONS
    if not captions.exists():
        return []
    return [
        Picture(title, caption, (captions.parent / file).read_bytes())
        for file, (title, caption) in json_artifact(CAPTIONS).load(captions).items()
    ]


def _neighbours(quantization: Quantization, titles: list[str], seed: int) -> list[dict[str, Any]]:
    return [
        {
            'item': titles[one.item],
            'codes': list(one.codes),
            'shared_levels': one.shared_levels,
            'neighbours': [titles[other] for other in one.neighbours],
            'n_neighbours': one.n_neighbours,
        }
        for one in example_neighbours(quantization.codes, seed=seed)
    ]


def _draw(folder: pathlib.Path, quantization: Quantization, table: CodeTable, vectors: Any) -> None:
    # Matplotlib is imported here, because a run of other stages draws nothing.
    from llmrec_jax.semantic_ids import pictures as drawing

    codes, sizes = quantization.codes, quantization.codebook_sizes
    drawn = {
        'usage.png': (
            'Codebook usage',
            'Items a codeword at each learned level, most used first; the dashed line is even use.',
            drawing.usage_histogram(codes, sizes),
        ),
        'first_code.png': (
            'Item space',
            'Item vectors in their first two principal components, coloured by the first code.',
            drawing.first_code_scatter(vectors, codes),
        ),
    }
    if table.n_levels > len(sizes):
        drawn['collision_level.png'] = (
            'Collision level',
            'How many items needed each code of the level that tells equal tuples apart.',
            drawing.usage_histogram(table.codes[:, -1:], table.codebook_sizes[-1:]),
        )
    if quantization.history:
        drawn['learning.png'] = (
            'Learning the codes',
            'The quantizer round by round.',
            drawing.learning_curves(quantization.history),
        )
    for file, (_, _, png) in drawn.items():
        files.write_bytes(folder / file, png)
    captions = {file: (title, caption) for file, (title, caption, _) in drawn.items()}
    files.write_json(folder / CAPTIONS, captions)
