"""Per-user results on disk, so that a later question needs no second run."""

import dataclasses
import pathlib
import zipfile
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int

from llmrec_jax import files
from llmrec_jax.corpora.splits import RankingCases
from llmrec_jax.evaluation.evaluator import SystemResult
from llmrec_jax.evaluation.recommendations import Recommendations

FOLDER = 'evaluation'
_SYSTEM_COLUMNS = ('items', 'scores', 'target_rank')
_SECONDS = 'seconds'


def per_user_path(stage: str, split: str, seen_items: str) -> str:
    """Where in a workdir lies what the systems of a stage answered under one protocol."""
    return f'{FOLDER}/{stage}/{split}_{seen_items}.npz'


@dataclasses.dataclass(frozen=True)
class PerUserResults:
    """Who was asked for, what came next, and what each system answered.

    Attributes:
      user: row of each case's user in the corpus.
      target: the item that came next.
      systems: recommendations by name of the system, rows as in `user`.
      seconds: wall time that a system took, by its name; empty where it was not taken.

    Raises:
      ValueError: when a system has another number of cases.
    """

    user: Int[np.ndarray, 'cases']
    target: Int[np.ndarray, 'cases']
    systems: Mapping[str, Recommendations]
    seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        for name, found in self.systems.items():
            if len(found) != len(self.user):
                raise ValueError(f'system {name!r} has {len(found)} cases, there are {len(self.user)} users')

    @classmethod
    def of(cls, cases: RankingCases, results: Sequence[SystemResult]) -> 'PerUserResults':
        """Collects what was evaluated on these cases."""
        return cls(
            cases.user,
            cases.target,
            {result.name: result.recommendations for result in results},
            {result.name: result.seconds for result in results},
        )

    def save(self, path: pathlib.Path) -> None:
        """Writes one .npz: `user`, `target`, and `<system>/items`, `/scores`, `/target_rank`, `/seconds`."""
        arrays = {'user': self.user, 'target': self.target}
        for name, found in self.systems.items():
            arrays |= {f'{name}/{column}': getattr(found, column) for column in _SYSTEM_COLUMNS}
        arrays |= {f'{name}/{_SECONDS}': np.float64(taken) for name, taken in self.seconds.items()}
        with files.written_whole(path) as file:
            np.savez_compressed(file, **arrays)

    @classmethod
    def load(cls, path: pathlib.Path) -> 'PerUserResults':
        """Reads what `save` wrote.

        Raises:
          FileNotFoundError: when there is no such file.
          ValueError: naming the file, when it was cut short or is of another kind.
        """
        try:
            with np.load(path) as arrays:
                names = dict.fromkeys(key.rpartition('/')[0] for key in arrays.files if '/' in key)
                systems = {
                    name: Recommendations(*(arrays[f'{name}/{column}'] for column in _SYSTEM_COLUMNS))
                    for name in names
                }
                seconds = {
                    name: float(arrays[f'{name}/{_SECONDS}'])
                    for name in names
                    if f'{name}/{_SECONDS}' in arrays.files
                }
                return cls(arrays['user'], arrays['target'], systems, seconds)
        except (zipfile.BadZipFile, KeyError, EOFError, ValueError) as error:
            raise ValueError(f'{path} holds no per-user results ({error}); evaluate again') from error
