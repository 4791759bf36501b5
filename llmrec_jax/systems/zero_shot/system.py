"""A language model as a recommender without training, among drawn candidates.

| stage | makes |
|---|---|
| corpus | `splits.npz`, `catalogue.jsonl` |
| floors, sampled_floors | the systems that only count |
| tokenizer | `vocabulary`, the model's or one that is trained on the titles |
| sampled | the model among the same candidates |
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from llmrec_jax import marks
from llmrec_jax.corpora.source import CorpusSource
from llmrec_jax.corpora.split_rules import LEAVE_LAST_OUT, SplitRule
from llmrec_jax.evaluation.recommender import CandidateRecommender
from llmrec_jax.evaluation.sampled_protocol import SampledProtocol
from llmrec_jax.models.decoder_only import DecoderOnlyTransformer
from llmrec_jax.models.decoder_only.model import DecoderOnlyModel
from llmrec_jax.runs.artifact import Artifact
from llmrec_jax.runs.record import StageRecord
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import Phase, Stage
from llmrec_jax.runs.system import System
from llmrec_jax.stages.baselines import MeasureBaselines
from llmrec_jax.stages.corpus import CATALOGUE, SPLITS, PrepareCorpus
from llmrec_jax.stages.prompt_evaluation.placed_model import PlacedModel
from llmrec_jax.stages.rank import Ranking
from llmrec_jax.stages.ranking_report import RankingReport
from llmrec_jax.stages.sampled import MeasureSampledBaselines, SampledStage
from llmrec_jax.systems.zero_shot.likelihoods import TitleLikelihoods, TitlePrompt
from llmrec_jax.systems.zero_shot.weights import Weights
from llmrec_jax.text.tokenizer_sources import TokenizerSource
from llmrec_jax.text.tokenizer_vocabulary import TokenizerVocabulary, check_room


def tokenizer(source: TokenizerSource) -> Artifact[TokenizerVocabulary]:
    """The run's copy of the tokenizer."""
    return Artifact('vocabulary', load=source.load_at)


@dataclasses.dataclass(frozen=True)
class MakeTokenizer(Stage):
    """Puts the tokenizer into the workdir.

    Attributes:
      source: of the tokenizer.
      prompt: with the titles, what one is trained on where none came with the model.
    """

    source: TokenizerSource
    prompt: TitlePrompt
    name: ClassVar[str] = 'tokenizer'
    phase: ClassVar[Phase] = 'prepare'
    reads: ClassVar = (CATALOGUE,)

    @property
    def writes(self) -> Sequence[Artifact[Any]]:
        """See `Stage.writes`."""
        return (tokenizer(self.source),)

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        titles = run[CATALOGUE].title
        texts = (self.prompt.of([title]) + self.prompt.continued(title) for title in titles)
        made = self.source.make_at(run.path(tokenizer(self.source)), texts)
        return {'size': made.size, 'fingerprint': made.fingerprint}


@dataclasses.dataclass(frozen=True)
class MeasureLikelihoods(SampledStage):
    """The language model among drawn items.

    Attributes:
      system: what it is called.
      weights: the network.
      source: of its tokenizer.
      prompt: what is asked.
      subtracts_prior: see `TitleLikelihoods`.
      per_token: see `TitleLikelihoods`.
      protocols: see `SampledStage`.
      seed: see `SampledStage`.
      batch_size: prompts at once.
      cases_held: users whose candidates are held at once.
    """

    system: str
    weights: Weights
    source: TokenizerSource
    prompt: TitlePrompt
    subtracts_prior: bool
    per_token: bool
    protocols: tuple[SampledProtocol, ...]
    seed: int
    batch_size: int = marks.without_effect()
    cases_held: int = marks.without_effect(256)
    name: ClassVar[str] = 'sampled'
    phase: ClassVar[Phase] = 'evaluate'

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """See `Stage.reads`."""
        return (SPLITS, CATALOGUE, tokenizer(self.source))

    @property
    def cases_at_once(self) -> int:
        """See `SampledStage`."""
        return self.cases_held

    def systems(self, run: Run) -> Mapping[str, CandidateRecommender]:
        """See `SampledStage.systems`.

        Raises:
          ValueError: when the tokenizer is another network's.
        """
        return {self.system: self.recommender(run)}

    def recommender(self, run: Run) -> TitleLikelihoods:
        """The language model with its parameters; raises as `systems`."""
        words = run[tokenizer(self.source)]
        config, params = self.weights.load()
        check_room(words, config.vocab_size)
        # The prompt begins with what is read first.
        model = DecoderOnlyModel(DecoderOnlyTransformer(config), start_token=None)
        titles = run[CATALOGUE].title
        return TitleLikelihoods(
            PlacedModel(model, params),
            words,
            titles,
            self.prompt,
            self.subtracts_prior,
            self.per_token,
            self.batch_size,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ZeroShot(System):
    """What is run, and where; nothing is trained.

    Attributes:
      corpus: the interactions and the catalogue.
      data_dir: where the corpus is prepared.
      weights: the network.
      tokenizer: of the network.
      prompt: what is asked.
      sampled: among which candidates; one protocol at least.
      subtracts_prior: see `TitleLikelihoods`.
      per_token: see `TitleLikelihoods`.
      ranking: how the systems that only count are compared on the whole catalogue.
      batch_size: prompts at once.
      split: what of the corpus is held out.
    """

    name: str = 'zero_shot'
    corpus: CorpusSource
    data_dir: str = marks.without_effect()
    weights: Weights
    tokenizer: TokenizerSource
    prompt: TitlePrompt
    sampled: tuple[SampledProtocol, ...]
    subtracts_prior: bool = True
    per_token: bool = False
    ranking: Ranking
    batch_size: int = marks.without_effect(16)
    split: SplitRule = LEAVE_LAST_OUT

    def __post_init__(self):
        # gin hands over lists.
        object.__setattr__(self, 'sampled', tuple(self.sampled))
        if not self.sampled:
            raise ValueError('ZeroShot.sampled names no protocol: a language model ranks drawn candidates')

    @property
    def seen_items(self) -> str:
        """See `System.seen_items`."""
        return self.ranking.seen_items

    @property
    def measure(self) -> MeasureLikelihoods:
        """The stage that asks the language model."""
        return MeasureLikelihoods(
            system=self.name,
            weights=self.weights,
            source=self.tokenizer,
            prompt=self.prompt,
            subtracts_prior=self.subtracts_prior,
            per_token=self.per_token,
            protocols=self.sampled,
            seed=self.ranking.seed,
            batch_size=self.batch_size,
        )

    def stages(self) -> Sequence[Stage]:
        """See `System.stages`."""
        return [
            PrepareCorpus(corpus=self.corpus, data_dir=self.data_dir, split=self.split),
            MeasureBaselines(draw=self.ranking.draw, list_length=self.ranking.list_length),
            MeasureSampledBaselines(protocols=self.sampled, seed=self.ranking.seed),
            MakeTokenizer(source=self.tokenizer, prompt=self.prompt),
            self.measure,
        ]

    def recommender(self, run: Run) -> TitleLikelihoods:
        """See `System.recommender`; of a large catalogue every title is read for every user."""
        return self.measure.recommender(run)

    def report(self, run: Run, records: Sequence[StageRecord]) -> None:
        """See `System.report`."""
        RankingReport(
            system=self.name,
            corpus=self.corpus.name,
            ranking=self.ranking,
            stages=self.stages(),
            split=self.split,
        ).write(run, records)
