"""Profiles of a corpus's users, as PALR's prompts show them (Yang et al., 2023): nothing is trained.

| stage | makes |
|---|---|
| corpus | `splits.npz`, `catalogue.jsonl` |
| profiles | `profiles.jsonl`, and `responses.jsonl` where a language model is asked |
"""

import dataclasses
import logging
from collections.abc import Sequence

from llmrec_jax.corpora.source import CorpusSource
from llmrec_jax.corpora.split_rules import LEAVE_LAST_OUT, SplitRule
from llmrec_jax.runs.record import StageRecord
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import Stage
from llmrec_jax.runs.system import System
from llmrec_jax.stages.corpus import PrepareCorpus
from llmrec_jax.stages.profile_writers import ProfileWriter
from llmrec_jax.stages.profiles import PROFILES, WriteProfiles
from llmrec_jax.training import processes

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class UserProfiles(System):
    """What is run, and where; `profiles.jsonl` in the workdir is what other recipes read.

    Attributes:
      corpus: whose users.
      data_dir: where the corpus is prepared.
      writer: writes the profiles.
      max_history: the newest items of a training history that are shown.
      max_users: users whose profiles are written, drawn; None for all.
      seed: of the draw.
      split: what of the corpus is held out, and in no profile.
    """

    name: str = 'profiles'
    corpus: CorpusSource
    data_dir: str
    writer: ProfileWriter
    max_history: int = 20
    max_users: int | None = None
    seed: int = 0
    split: SplitRule = LEAVE_LAST_OUT

    def stages(self) -> Sequence[Stage]:
        """See `System.stages`."""
        write = WriteProfiles(
            corpus=self.corpus,
            data_dir=self.data_dir,
            writer=self.writer,
            max_history=self.max_history,
            max_users=self.max_users,
            seed=self.seed,
        )
        return [PrepareCorpus(corpus=self.corpus, data_dir=self.data_dir, split=self.split), write]

    def report(self, run: Run, records: Sequence[StageRecord]) -> None:
        """See `System.report`: on the terminal alone."""
        done = {record.name: record for record in records}
        if 'profiles' in done and processes.is_first():
            for name, value in done['profiles'].facts.items():
                LOG.info('%-16s %s', name, value)
            LOG.info('profiles: %s', run.path(PROFILES))
