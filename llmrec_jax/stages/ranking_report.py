"""The end of a run that ranks a catalogue: `results.json`, `report.html`, and the table on the terminal."""

import dataclasses
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from llmrec_jax.corpora.split_rules import LEAVE_LAST_OUT, SplitRule, is_default
from llmrec_jax.corpora.splits import RankingCases
from llmrec_jax.evaluation.baselines.counted import BASELINES
from llmrec_jax.evaluation.baselines.counts import item_counts
from llmrec_jax.evaluation.bootstrap import Bootstrap
from llmrec_jax.evaluation.catalogue_metrics import Catalogue
from llmrec_jax.evaluation.code_levels import code_levels
from llmrec_jax.evaluation.cold_start import cold_start_record
from llmrec_jax.evaluation.environment import environment
from llmrec_jax.evaluation.evaluator import Evaluator, SystemResult
from llmrec_jax.evaluation.per_user import PerUserResults
from llmrec_jax.evaluation.protocol import SEEN_ITEMS, SPLITS, Protocol
from llmrec_jax.evaluation.report.examples import choose_cases, user_examples
from llmrec_jax.evaluation.report.page import write_report
from llmrec_jax.evaluation.report.report_data import (
    Curve,
    Picture,
    PublishedRow,
    ReportData,
    UserExample,
)
from llmrec_jax.evaluation.report.system_names import LABELS, system_label
from llmrec_jax.evaluation.results import (
    CEILING,
    LAW_ATTAINED,
    RESULTS_FILE,
    Results,
    metric_suffix,
    section,
)
from llmrec_jax.evaluation.sampled_protocol import joined_records
from llmrec_jax.files import read_text
from llmrec_jax.runs.artifact import place
from llmrec_jax.runs.record import StageRecord
from llmrec_jax.runs.run import CONFIG, Run
from llmrec_jax.runs.stage import Phase, Stage
from llmrec_jax.stages.baselines import CONTENT_NAMES
from llmrec_jax.stages.corpus import CATALOGUE
from llmrec_jax.stages.corpus import SPLITS as CORPUS_SPLITS
from llmrec_jax.stages.diversity import MeasureDiversity
from llmrec_jax.stages.item_vectors import ITEM_VECTORS
from llmrec_jax.stages.rank import ListStage, Ranking, lists
from llmrec_jax.stages.sampled import SampledStage
from llmrec_jax.stages.semantic_ids import CODE_TABLE, LearnSemanticIds
from llmrec_jax.stages.unseen_items import MeasureUnseenItems
from llmrec_jax.training import processes

LOG = logging.getLogger(__name__)
EXAMPLE_USERS = 12
SEMANTIC_IDS, UNSEEN_ITEMS, DIVERSITY = (
    stage.name for stage in (LearnSemanticIds, MeasureUnseenItems, MeasureDiversity)
)
RESULTS, REPORT = place(RESULTS_FILE), place('report.html')


@dataclasses.dataclass(frozen=True)
class RankingReport:
    """What is said of a system that ranks a catalogue.

    Attributes:
      system: what the trained system is called.
      corpus: what the corpus is called.
      ranking: the protocol.
      stages: of the system; those that are done are reported.
      split: what of the corpus is held out.
      published: rows of the literature, which held out the last items; not measured here.
      curves: of training.
      pictures: of what was learned before.
    """

    system: str
    corpus: str
    ranking: Ranking
    stages: Sequence[Stage]
    split: SplitRule = LEAVE_LAST_OUT
    published: Sequence[PublishedRow] = ()
    curves: Sequence[Curve] = ()
    pictures: Sequence[Picture] = ()

    def write(self, run: Run, records: Sequence[StageRecord]) -> None:
        """Writes `results.json` and `report.html` from what is done, on process 0.

        Args:
          run: the workdir.
          records: of the stages that are done.
        """
        processes.from_first(lambda: self._write(run, {record.name: record for record in records}))

    def _write(self, run: Run, done: Mapping[str, StageRecord]) -> None:
        results = self.results(run, done)
        results.save(run.path(RESULTS))
        write_report(self._data(run, done, results), run.path(REPORT))
        for line in table(results):
            LOG.info(line)
        LOG.info('results: %s', run.path(RESULTS))
        LOG.info('report: %s', run.path(REPORT))

    def results(self, run: Run, done: Mapping[str, StageRecord]) -> Results:
        """Judges every list that the finished stages made, and collects what they told.

        Args:
          run: the workdir.
          done: records of the finished stages by name.
        """
        facts = {name: record.facts for name, record in done.items()}
        main = self._protocol('test', self.ranking.seen_items)
        systems: dict[str, dict[str, dict]] = {}
        comparisons: list[dict] = []
        slices: dict[str, dict] = {}
        levels: dict[str, list[dict]] = {}
        catalogue = _catalogue(run, done)
        for split in SPLITS:
            for seen_items in SEEN_ITEMS:
                protocol = self._protocol(split, seen_items)
                evaluator = Evaluator(protocol, catalogue, Bootstrap(seed=self.ranking.seed))
                judged = self._judged(run, done, evaluator)
                if judged:
                    systems[section(protocol, main)] = {one.name: one.as_dict() for one in judged}
                if protocol == main:
                    comparisons = evaluator.compare(judged)
                    slices = self._cold_start(run, judged, evaluator.bootstrap)
                    levels = _code_levels(run, done, judged, max(self.ranking.ks))
            for name, found in _bounds(facts, split).items():
                for where in (split, *(key for key in systems if key.startswith(f'{split}_seen'))):
                    systems.setdefault(where, {})[name] = found
        content = facts.get('content', {})
        return Results(
            protocol=main.as_dict(),
            systems=systems,
            corpus=facts.get('corpus', {}),
            environment=environment(self.ranking.seed),
            stages=stage_costs(done.values(), {stage.name: stage.phase for stage in self.stages}),
            headline=self.system,
            floors=[*BASELINES, *CONTENT_NAMES.values()],
            comparisons=comparisons,
            semantic_ids={
                **facts.get('item_vectors', {}),
                **facts.get('semantic_ids', {}),
                **{name: value for name, value in content.items() if name.startswith('scann_')},
            },
            training={**facts.get('tasks', {}), **facts.get('train', {})},
            decoding=facts.get('evaluate', {}),
            sampled=joined_records(*self._sampled(facts)),
            cold_start=slices,
            generative={
                **({'code_levels': levels} if levels else {}),
                **{name: facts[name] for name in (UNSEEN_ITEMS, DIVERSITY) if name in facts},
            },
            serving=serving_costs(facts),
        )

    def _protocol(self, split: str, seen_items: str) -> Protocol:
        return Protocol(split, seen_items, self.ranking.ks, self.split)

    def test_cases(self, run: Run) -> RankingCases:
        """The test users who are asked about."""
        return run[CORPUS_SPLITS].test

    def _measuring(self, done: Mapping[str, StageRecord]) -> list[ListStage]:
        """Stages that are done and measured; trained systems first, the last trained of them at the top."""
        ranked = [stage for stage in self.stages if isinstance(stage, ListStage) and stage.name in done]
        of_trained = [stage for stage in ranked if stage.of_trained]
        return [*reversed(of_trained), *(stage for stage in ranked if not stage.of_trained)]

    def _judged(self, run: Run, done: Mapping[str, StageRecord], evaluator: Evaluator) -> list[SystemResult]:
        split, seen_items = evaluator.protocol.split, evaluator.protocol.seen_items
        judged = []
        for stage in self._measuring(done):
            if (split, seen_items) not in stage.asked:
                continue
            found = run[lists(stage.name, split, seen_items)]
            cases = stage.draw.cases(run[CORPUS_SPLITS], split)
            for name, listed in found.systems.items():
                judged.append(evaluator.judge(name, listed, cases, found.seconds[name]))
        return judged

    def _sampled(self, facts: Mapping[str, Mapping[str, Any]]) -> list[list[dict[str, Any]]]:
        """What each finished stage measured among drawn items."""
        measured = (stage.name for stage in self.stages if isinstance(stage, SampledStage))
        return [facts[name]['protocols'] for name in measured if name in facts]

    def _cold_start(self, run: Run, judged: Sequence[SystemResult], bootstrap: Bootstrap) -> dict[str, dict]:
        if not judged:
            return {}
        train, cases = run[CORPUS_SPLITS].train, self.test_cases(run)
        n_items, ks = len(run[CATALOGUE]), self.ranking.ks
        return {
            one.name: cold_start_record(one.recommendations.target_rank, cases, train, n_items, ks, bootstrap)
            for one in judged
        }

    def _data(self, run: Run, done: Mapping[str, StageRecord], results: Results) -> ReportData:
        examples, rule = self._examples(run, done)
        return ReportData(
            title=f'{system_label(self.system)} on {self.corpus}',
            results=results,
            headline=results.headline,
            floors=results.floors,
            curves=self.curves,
            pictures=self.pictures,
            examples=examples,
            examples_rule=rule,
            # Figures of another split stand beside none.
            published=self.published if is_default(self.split) else (),
            config=read_text(run.root / CONFIG),
            labels=_content_labels(done),
        )

    def _examples(self, run: Run, done: Mapping[str, StageRecord]) -> tuple[list[UserExample], str]:
        """A dozen test users and how they were chosen; none before the trained system has answered."""
        ranking, answered = self.ranking, {}
        for stage in self._measuring(done):
            if ('test', ranking.seen_items) in stage.asked:
                answered |= run[lists(stage.name, 'test', ranking.seen_items)].systems
        if self.system not in answered:
            return [], ''
        cases, shown = self.test_cases(run), run[CATALOGUE]
        every = PerUserResults(cases.user, cases.target, answered)
        rows, rule = choose_cases(
            every, self.system, k=ranking.list_length, examples=EXAMPLE_USERS, seed=ranking.seed
        )
        found = user_examples(rows, cases, every, shown.title, shown.item_id, ranking.list_length)
        return found, rule


def _code_levels(
    run: Run, done: Mapping[str, StageRecord], judged: Sequence[SystemResult], k: int
) -> dict[str, list[dict]]:
    """How the lists agree with the targets' codes, where the run has made codes."""
    if SEMANTIC_IDS not in done:
        return {}
    codes, targets = run[CODE_TABLE].codes, run[CORPUS_SPLITS].test.target
    # The level of collisions tells nothing where there are none.
    codes = codes[:, np.ptp(codes, axis=0) > 0]
    return {one.name: code_levels(one.recommendations.items, targets, codes, k) for one in judged}


def _content_labels(done: Mapping[str, StageRecord]) -> dict[str, str]:
    """How content retrieval is called on the page; of a small catalogue every item is scored."""
    if 'content' not in done:
        return {}
    exact = not done['content'].facts['scann_layout']['leaves']
    how = 'exact, every item scored' if exact else "ScaNN's tree"
    return {name: f'{LABELS[name]} ({how})' for name in CONTENT_NAMES.values()}


def stage_costs(records: Iterable[StageRecord], phases: Mapping[str, Phase]) -> list[dict[str, Any]]:
    """What each stage took, as `Results.stages` holds it.

    Args:
      records: of the stages.
      phases: by name of the stage.
    """
    return [
        {
            'name': record.name,
            'phase': phases[record.name],
            'seconds': record.seconds,
            'reused': record.reused,
            'peak_memory_mb': record.peak_memory_mb,
        }
        for record in records
    ]


def serving_costs(facts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What answering costs, by what the stages measured, as `Results.serving` holds it."""
    return {name: cost for told in facts.values() for name, cost in told.get('serving', {}).items()}


def table(results: Results) -> list[str]:
    """Recall and NDCG of every system on the test users, in plain text."""
    metrics = [f'{kind}@{k}' for k in results.protocol['ks'] for kind in ('recall', 'ndcg')]
    lines = [f'{"test":<20}' + ''.join(f'{metric:>12}' for metric in metrics)]
    if suffix := metric_suffix(results.protocol):
        lines.insert(0, f'split by {suffix[1:]}: in results.json names of metrics end in {suffix}')
    for name, numbers in results.systems.get('test', {}).items():
        lines.append(f'{name:<20}' + ''.join(f'{numbers[metric]:>12.4f}' for metric in metrics))
    return lines


def _catalogue(run: Run, done: Mapping[str, StageRecord]) -> Catalogue | None:
    if 'corpus' not in done:
        return None
    shown = run[CATALOGUE]
    return Catalogue(
        train_counts=item_counts(run[CORPUS_SPLITS].train, len(shown)),
        categories=shown.categories,
        vectors=run[ITEM_VECTORS] if 'item_vectors' in done else None,
    )


def _bounds(facts: Mapping[str, Mapping[str, Any]], split: str) -> dict[str, dict]:
    """The ceiling, and what ranking by the law itself reached on the very targets that were drawn."""
    found = facts.get('ceiling', {}).get(split)
    return {CEILING: found['expected'], LAW_ATTAINED: found['attained_by_the_law']} if found else {}
