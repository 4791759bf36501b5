"""The recipe of PALR: a text-to-text recipe whose prompts a profile and a retriever's candidates fill."""

import dataclasses
from typing import TYPE_CHECKING

from llmrec_jax.evaluation.protocol import SEEN_ITEMS
from llmrec_jax.evaluation.report.report_data import PublishedRow
from llmrec_jax.launch.palr.candidate_sources import CandidateSource, FloorCandidates
from llmrec_jax.launch.profiles.profile_writer import ProfileWriter
from llmrec_jax.launch.text_recipe import TextRecipe

if TYPE_CHECKING:
    from tasks.palr import PalrTasks


@dataclasses.dataclass(frozen=True)
class PalrRecipe(TextRecipe):
    """What is run; see `TextRecipe` for the rest.

    Attributes:
      retriever: gives the candidates at inference. Training never sees it: fitted on the same events, it
        would put the targets first.
      profile_writer: writes the keywords of each user, of training histories alone; None for none.
      candidates: shown at inference; as many as `Palr.candidates` shows in training.
      test_users: who is asked about, drawn by `seed`; None for all.
      seen_items: 'removed' leaves the items of a history out of the candidates, as the instruction asks for
        other items; 'kept' does not.
      ks: cut-offs of recall and NDCG.
      position_bins: parts of the candidate list that accuracy by position is told for.
      timed_requests: batches that serving times are taken of.
      published: rows of the literature for the report; not measured here.

    Raises:
      ValueError: when a setting is none that can be had.
    """

    retriever: CandidateSource = dataclasses.field(default_factory=FloorCandidates)
    profile_writer: ProfileWriter | None = None
    candidates: int = 50
    test_users: int | None = None
    seen_items: str = 'removed'
    ks: tuple[int, ...] = (5, 10)
    position_bins: int = 5
    timed_requests: int = 3
    published: tuple[PublishedRow, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        if self.seen_items not in SEEN_ITEMS:
            raise ValueError(f'PalrRecipe.seen_items={self.seen_items!r} must be one of {SEEN_ITEMS}')
        palr_tasks: PalrTasks = self.tasks
        if self.candidates != palr_tasks.palr.candidates:
            raise ValueError(
                f'PalrRecipe.candidates={self.candidates} and Palr.candidates={palr_tasks.palr.candidates} '
                'must be the same: what is learned of as many is asked of as many'
            )
        if max(self.ks) > self.candidates:
            raise ValueError(
                f'PalrRecipe.ks asks for {max(self.ks)} items of {self.candidates} candidates; show more'
            )
        if self.answering.max_examples is not None:
            raise ValueError(
                f'Answering.max_examples={self.answering.max_examples} must be None in a PalrRecipe, whose '
                'test_users says how many are asked'
            )
        for name in ('test_users', 'position_bins', 'timed_requests'):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f'PalrRecipe.{name}={getattr(self, name)} must be at least 1')

    @property
    def list_length(self) -> int:
        """Items in every system's list."""
        return max(self.ks)
