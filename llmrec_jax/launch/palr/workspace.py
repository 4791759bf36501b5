"""The folder of a run of PALR; what `TextWorkspace` has, and:

| path | holds |
|---|---|
| `profiles.jsonl` | keywords of each user |
| `candidates.npz` | who is asked about, and the retriever's list for each |
| `evaluation/floors/test.npz` | lists of the systems that only count |
| `evaluation/palr/test.npz` | PALR's lists, filled up and not, and those of blind draws |
"""

import dataclasses
import functools
import pathlib

import numpy as np

from llmrec_jax.corpora.splits import RankingCases
from llmrec_jax.evaluation.per_user import PerUserResults
from llmrec_jax.evaluation.protocol import Protocol
from llmrec_jax.evaluation.recommendations import Recommendations
from llmrec_jax.launch.palr.recipe import PalrRecipe
from llmrec_jax.launch.text_workspace import TextWorkspace

PROFILES, CANDIDATES = 'profiles.jsonl', 'candidates.npz'
RETRIEVER = 'retriever'
FLOOR_LISTS, PALR_LISTS = 'evaluation/floors/test.npz', 'evaluation/palr/test.npz'


@dataclasses.dataclass(frozen=True, eq=False)
class PalrWorkspace(TextWorkspace):
    """Paths and artifacts of one run.

    Attributes:
      recipe: what is run.
    """

    recipe: PalrRecipe

    @property
    def profiles_path(self) -> pathlib.Path:
        """Keywords of each user."""
        return self.root / PROFILES

    @property
    def candidates_path(self) -> pathlib.Path:
        """The retriever's lists."""
        return self.root / CANDIDATES

    @property
    def protocol(self) -> Protocol:
        """How every system of the run is compared."""
        return Protocol('test', self.recipe.seen_items, self.recipe.ks)

    @functools.cached_property
    def cases(self) -> RankingCases:
        """Who is asked about: all test users, or those drawn."""
        cases, most = self.splits.test, self.recipe.test_users
        if most is None or len(cases) <= most:
            return cases
        drawn = np.random.default_rng(self.recipe.seed).permutation(len(cases))[:most]
        return cases.select(np.sort(drawn))

    @functools.cached_property
    def candidates(self) -> Recommendations:
        """The retriever's list for each of `cases`, best first."""
        return self.lists(CANDIDATES).systems[RETRIEVER]

    def lists(self, path: str) -> PerUserResults:
        """Lists that a stage left under the workdir."""
        return PerUserResults.load(self.root / path)
