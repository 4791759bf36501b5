"""PALR (Yang et al., 2023): a retriever finds candidates, and a language model writes the list it chooses.

| stage | makes | section |
|---|---|---|
| corpus | `splits.npz`, `catalogue.jsonl` | 4.1 |
| profiles | `profiles.jsonl`: keywords of each user, where the prompts show any | 3.1 |
| candidates | `candidates.npz`: who is asked about, and the retriever's list for each | 3.2 |
| floors | lists of the systems that only count | |
| ceiling | what no recommender can exceed, of a simulated corpus | |
| vocabulary, tasks | `vocabulary/`, `item_names.json`, `tasks/` | 3.3 |
| train | `checkpoints/` | 3.3 |
| evaluate | `evaluation/tasks/<task>/`: what the model writes | 4 |
| lists | PALR's lists, filled up and not, and those of blind draws | 4 |
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from llmrec_jax.corpora.splits import RankingCases
from llmrec_jax.evaluation.report.report_data import PublishedRow, ReportData
from llmrec_jax.evaluation.report.system_names import system_label
from llmrec_jax.evaluation.results import CANDIDATE_CAP, Results
from llmrec_jax.prompts.palr.answers import TitleIndex
from llmrec_jax.runs.record import StageRecord
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import Stage
from llmrec_jax.stages.baselines import MeasureCeiling, has_law
from llmrec_jax.stages.corpus import CATALOGUE, SPLITS, USER_IDS
from llmrec_jax.stages.learning_curves import learning_curves
from llmrec_jax.stages.profile_writers import ProfileWriter
from llmrec_jax.stages.profiles import PROFILES, WriteProfiles
from llmrec_jax.stages.prompt_evaluation.item_names import ItemNames
from llmrec_jax.stages.prompt_tasks import ITEM_NAMES, MaterialisePrompts, vocabulary
from llmrec_jax.stages.rank import Ranking
from llmrec_jax.stages.ranking_report import RankingReport
from llmrec_jax.stages.text_system import TextSystem
from llmrec_jax.systems.palr.candidates import (
    CANDIDATES,
    CandidateSource,
    FloorCandidates,
    MeasureTestBaselines,
    PalrDraw,
    RetrieveCandidates,
)
from llmrec_jax.systems.palr.recommender import PalrRecommender
from llmrec_jax.systems.palr.written_lists import (
    RANDOM,
    WITHOUT_CANDIDATES,
    WRITTEN,
    EvaluateWriting,
    ReadLists,
)
from tasks.palr import RETRIEVER, PalrTasks


@dataclasses.dataclass(frozen=True, kw_only=True)
class PalrSystem(TextSystem):
    """What is run, and where; see `TextSystem` for the rest.

    Attributes:
      tasks: the prompts; see `PalrTasks`.
      ranking: how PALR is compared. 'removed' leaves the items of a history out of the candidates, as the
        instruction asks for other items.
      retriever: gives the candidates at inference. Training never sees it: fitted on the same events, it
        would put the targets first.
      profile_writer: writes the keywords of each user, of training histories alone; None for none.
      candidates: shown at inference; as many as the prompts' `Palr.candidates` shows in training.
      test_users: who is asked about, drawn by `seed`; None for all.
      position_bins: parts of the candidate list that accuracy by position is told for.
      timed_requests: batches that serving times are taken of.
      published: rows of the literature for the report; not measured here.

    Raises:
      ValueError: when a setting is none that can be had.
    """

    tasks: PalrTasks
    ranking: Ranking = dataclasses.field(default_factory=lambda: Ranking(seen_items='removed'))
    retriever: CandidateSource = dataclasses.field(default_factory=FloorCandidates)
    profile_writer: ProfileWriter | None = None
    candidates: int = 50
    test_users: int | None = None
    position_bins: int = 5
    timed_requests: int = 3
    published: tuple[PublishedRow, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        if self.candidates != self.tasks.palr.candidates:
            raise ValueError(
                f'PalrSystem.candidates={self.candidates} and {self.tasks.palr.candidates} of the prompts '
                'must be the same: what is learned of as many is asked of as many'
            )
        if self.tasks.profiles != (self.profile_writer is not None):
            raise ValueError(
                f'PalrTasks.profiles={self.tasks.profiles} must say whether there is a '
                'PalrSystem.profile_writer: bind it to @gin_values.is_given()'
            )
        if self.ranking.list_length > self.candidates:
            raise ValueError(
                f'Ranking.list_length asks for {self.ranking.list_length} items of {self.candidates} '
                'candidates; show more'
            )
        if self.decoding.max_examples is not None:
            raise ValueError(
                f'DecodingConfig.max_examples={self.decoding.max_examples} must be None in PALR, whose '
                'test_users says how many are asked'
            )
        for name in ('test_users', 'position_bins', 'timed_requests'):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f'PalrSystem.{name}={getattr(self, name)} must be at least 1')

    @property
    def seen_items(self) -> str:
        """See `System.seen_items`."""
        return self.ranking.seen_items

    @property
    def draw(self) -> PalrDraw:
        """Who is asked about."""
        return PalrDraw(seed=self.seed, test_users=self.test_users)

    def stages(self) -> Sequence[Stage]:
        """See `System.stages`."""
        protocol = {'draw': self.draw, 'seen_items': self.seen_items}
        length = self.ranking.list_length
        profiles = [] if self.profile_writer is None else [self._write_profiles(self.profile_writer)]
        made_from = (CANDIDATES, *(PROFILES for _ in profiles))
        return [
            self.prepare_corpus,
            *profiles,
            RetrieveCandidates(retriever=self.retriever, list_length=self.candidates, **protocol),
            MeasureTestBaselines(draw=self.draw, list_length=length),
            *self._ceiling,
            *self.prepare_tasks(made_from, KeepReadablePrompts),
            self.train,
            self.evaluate(EvaluateWriting, fitted=False, timed_requests=self.timed_requests),
            ReadLists(
                system=self.name,
                tasks=self.tasks,
                list_length=length,
                position_bins=self.position_bins,
                seed=self.seed,
                **protocol,
            ),
        ]

    @property
    def _ceiling(self) -> list[MeasureCeiling]:
        if not has_law(self.corpus, self.tasks.split):
            return []
        ks = self.ranking.ks
        return [MeasureCeiling(corpus=self.corpus, draw=self.draw, ks=ks, splits=('test',))]

    def _write_profiles(self, writer: ProfileWriter) -> WriteProfiles:
        return WriteProfiles(
            corpus=self.corpus,
            data_dir=self.tasks.data_dir,
            writer=writer,
            max_history=self.tasks.palr.windows.max_history,
            seed=self.seed,
        )

    def recommender(self, run: Run) -> PalrRecommender:
        """See `System.recommender`."""
        network, profiles = self.placed(run), {}
        if self.tasks.profiles:
            users = run[USER_IDS]
            profiles = {users[row]: tuple(profile.keywords) for row, profile in run[PROFILES].users.items()}
        return PalrRecommender(
            network=network,
            decoding=self.decoding,
            catalogue=ItemNames(run[ITEM_NAMES], network.vocabulary),
            retriever=self.retriever.retriever(run[SPLITS], run[CATALOGUE]),
            candidates=self.candidates,
            tasks=self.tasks,
            keywords=profiles,
            corpus_users=run[USER_IDS],
            user_ids=run[USER_IDS],
        )

    def report(self, run: Run, records: Sequence[StageRecord]) -> None:
        """See `System.report`."""
        PalrReport(
            system=self.name,
            corpus=self.corpus.name,
            ranking=self.ranking,
            stages=self.stages(),
            split=self.tasks.split,
            published=self.published,
            curves=learning_curves(run.root, self.trainer.best_metric),
            candidates=self.candidates,
            draw=self.draw,
        ).write(run, records)


@dataclasses.dataclass(frozen=True)
class KeepReadablePrompts(MaterialisePrompts):
    """Finds out before training whether answers can be read back; attributes as in `MaterialisePrompts`."""

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        told = super().run(run)
        words = run[vocabulary(self.tasks.vocabulary)]
        # Two items whose names are one to the vocabulary are an error.
        TitleIndex([words.normalized(name) for name in run[ITEM_NAMES]])
        return told


@dataclasses.dataclass(frozen=True, kw_only=True)
class PalrReport(RankingReport):
    """PALR's lists beside the retriever's, the cap, the floors and a blind draw.

    Attributes:
      candidates: how many are shown.
      draw: who is asked about.
    """

    candidates: int
    draw: PalrDraw

    def results(self, run: Run, done: Mapping[str, StageRecord]) -> Results:
        """See `RankingReport.results`."""
        found = super().results(run, done)
        facts = {name: record.facts for name, record in done.items()}
        systems = {section: dict(of_section) for section, of_section in found.systems.items()}
        if 'candidates' in facts:
            systems.setdefault('test', {})[CANDIDATE_CAP] = self._cap(facts['candidates']['recall'])
        of_profiles = {f'profiles_{name}': value for name, value in facts.get('profiles', {}).items()}
        checkpoint = {'checkpoint': facts['evaluate']['checkpoint']} if 'evaluate' in facts else {}
        return dataclasses.replace(
            found,
            protocol={**found.protocol, 'shown_candidates': self.candidates},
            systems=systems,
            training={**of_profiles, **found.training},
            decoding={**checkpoint, **facts.get('lists', {})},
        )

    def test_cases(self, run: Run) -> RankingCases:
        """See `RankingReport.test_cases`."""
        return self.draw.cases(run[SPLITS], 'test')

    def _cap(self, recall: float) -> dict[str, float]:
        """What whoever chooses from the candidates can reach: the target first wherever it is among them."""
        return {f'{name}@{k}': recall for k in self.ranking.ks for name in ('recall', 'ndcg', 'mrr')}

    def _data(self, run: Run, done: Mapping[str, StageRecord], results: Results) -> ReportData:
        called = system_label(self.system)
        return dataclasses.replace(
            super()._data(run, done, results),
            title=f'{called} on {self.corpus}',
            labels={
                self.system: called,
                f'{self.system}_{WRITTEN}': f'{called}, not filled up',
                f'{self.system}_{WITHOUT_CANDIDATES}': f'{called}, no candidates shown',
                RETRIEVER: 'The retriever itself',
                RANDOM: 'A blind draw of the candidates',
            },
        )
