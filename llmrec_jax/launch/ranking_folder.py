"""The folder of a run that ranks a catalogue for users: what every such recipe leaves there."""

import dataclasses
import functools
import pathlib

import numpy as np
from jaxtyping import Float

from llmrec_jax.corpora.splits import RankingCases
from llmrec_jax.launch.run_folder import RunFolder
from llmrec_jax.training.columns import ColumnStore


@dataclasses.dataclass(frozen=True, eq=False)
class RankingFolder(RunFolder):
    """Paths and artifacts of one run.

    Attributes:
      recipe: what is run: beside what `RunFolder` asks for it has `name`, `seen_items`, `ks`, `list_length`,
        `validation_users`, `seed` and `published`.
    """

    @property
    def item_vectors_path(self) -> pathlib.Path:
        """Embeddings of the items' text."""
        return self.root / 'item_vectors.npy'

    @property
    def diagnostics_dir(self) -> pathlib.Path:
        """What is to be looked at of the semantic IDs; empty where a recipe has none."""
        return self.root / 'semantic_ids'

    def lists_path(self, stage: str, split: str, seen_items: str) -> pathlib.Path:
        """What the systems of a stage answered under one protocol."""
        return self.root / 'evaluation' / stage / f'{split}_{seen_items}.npz'

    def examples_dir(self, split: str) -> pathlib.Path:
        """The materialised task."""
        return self.root / 'tasks' / split

    @functools.cached_property
    def item_vectors(self) -> Float[np.ndarray, 'items dim']:
        """Row `i` embeds the text of item `i`."""
        return np.load(self.item_vectors_path)

    def examples(self, split: str) -> ColumnStore:
        """The materialised task's examples."""
        return ColumnStore.open(self.examples_dir(split))

    def cases(self, split: str) -> RankingCases:
        """What every system is asked for: all test users, or the users drawn for validation.

        The draw is the same at every step of training and for every system.
        """
        cases = getattr(self.splits, split)
        if split != 'validation':
            return cases
        return drawn_cases(cases, self.recipe.validation_users, self.recipe.seed)


def drawn_cases(cases: RankingCases, wanted: int | None, seed: int) -> RankingCases:
    """So many of the cases, drawn by a seed, in their order; all where fewer are there or None is wanted."""
    if wanted is None or len(cases) <= wanted:
        return cases
    drawn = np.random.default_rng(seed).permutation(len(cases))
    return cases.select(np.sort(drawn[:wanted]))
