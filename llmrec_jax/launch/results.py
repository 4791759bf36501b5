"""Puts together what the finished stages left: `results.json`, and the data of the report."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from llmrec_jax.evaluation.bootstrap import Bootstrap
from llmrec_jax.evaluation.catalogue_metrics import Catalogue
from llmrec_jax.evaluation.cold_start import cold_start_record
from llmrec_jax.evaluation.environment import environment
from llmrec_jax.evaluation.evaluator import Evaluator, SystemResult
from llmrec_jax.evaluation.floors.all_floors import FLOORS
from llmrec_jax.evaluation.floors.counts import item_counts
from llmrec_jax.evaluation.per_user import PerUserResults
from llmrec_jax.evaluation.protocol import SEEN_ITEMS, SPLITS, Protocol
from llmrec_jax.evaluation.report.examples import choose_cases, user_examples
from llmrec_jax.evaluation.report.report_data import Picture, ReportData, UserExample
from llmrec_jax.evaluation.results import CEILING, LAW_ATTAINED, Results, section
from llmrec_jax.launch.evaluation_stages import CONTENT_NAMES
from llmrec_jax.launch.learning_curves import learning_curves
from llmrec_jax.launch.ranking_folder import RankingFolder
from llmrec_jax.launch.sampled_stages import sampled_records
from llmrec_jax.launch.stages import StageRecord

MEASURING_STAGES = ('evaluate', 'untuned', 'floors', 'content')
EXAMPLE_USERS = 12


def assemble(workspace: RankingFolder, records: Sequence[StageRecord]) -> Results:
    """Judges every list that the finished stages made, and collects what they said of themselves."""
    recipe = workspace.recipe
    summaries = {record.name: record.summary for record in records}
    main = Protocol('test', recipe.seen_items, recipe.ks)
    systems: dict[str, dict[str, dict]] = {}
    comparisons: list[dict] = []
    slices: dict[str, dict] = {}
    catalogue = _catalogue(workspace, summaries)
    for split in SPLITS:
        for seen_items in SEEN_ITEMS:
            protocol = Protocol(split, seen_items, recipe.ks)
            evaluator = Evaluator(protocol, catalogue, Bootstrap(seed=recipe.seed))
            judged = _judge(workspace, evaluator, summaries)
            if judged:
                systems[section(protocol, main)] = {one.name: one.as_dict() for one in judged}
            if protocol == main:
                comparisons = evaluator.compare(judged)
                slices = _cold_start(workspace, judged, evaluator.bootstrap)
        for name, found in _ceiling(summaries, split).items():
            for where in (split, *(key for key in systems if key.startswith(f'{split}_seen'))):
                systems.setdefault(where, {})[name] = found
    return Results(
        protocol=main.as_dict(),
        systems=systems,
        corpus=summaries.get('corpus', {}),
        environment=environment(recipe.seed),
        stages=stage_costs(records),
        comparisons=comparisons,
        semantic_ids={
            **summaries.get('item_vectors', {}),
            **summaries.get('semantic_ids', {}),
            **{
                name: value
                for name, value in summaries.get('content', {}).items()
                if name.startswith('scann_')
            },
        },
        training={**summaries.get('tasks', {}), **summaries.get('train', {})},
        decoding={name: value for name, value in summaries.get('evaluate', {}).items() if name != 'seconds'},
        sampled=sampled_records(summaries),
        cold_start=slices,
        serving=serving_costs(summaries),
    )


def stage_costs(records: Sequence[StageRecord]) -> list[dict[str, Any]]:
    """What each stage took, as `Results.stages` holds it."""
    return [
        {
            'name': record.name,
            'seconds': record.seconds,
            'reused': record.reused,
            'peak_memory_mb': record.peak_memory_mb,
        }
        for record in records
    ]


def serving_costs(summaries: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What answering costs, by what the stages measured, as `Results.serving` holds it."""
    return {name: cost for summary in summaries.values() for name, cost in summary.get('serving', {}).items()}


def report_data(workspace: RankingFolder, results: Results, config: str) -> ReportData:
    """What the page shows beside `results.json`."""
    recipe = workspace.recipe
    examples, examples_rule = _examples(workspace)
    return ReportData(
        title=f'{recipe.name.upper()} on {recipe.corpus.name}',
        results=results,
        headline=recipe.name,
        floors=(*FLOORS, *CONTENT_NAMES.values()),
        curves=learning_curves(workspace),
        pictures=_pictures(workspace),
        examples=examples,
        examples_rule=examples_rule,
        published=recipe.published,
        config=config,
        labels={recipe.name: recipe.name.upper()},
    )


def _catalogue(workspace: RankingFolder, summaries: dict) -> Catalogue | None:
    if 'corpus' not in summaries:
        return None
    return Catalogue(
        train_counts=item_counts(workspace.splits.train, workspace.n_items),
        categories=workspace.catalogue.categories,
        vectors=workspace.item_vectors if 'item_vectors' in summaries else None,
    )


def _judge(workspace: RankingFolder, evaluator: Evaluator, summaries: dict) -> list[SystemResult]:
    split, seen_items = evaluator.protocol.split, evaluator.protocol.seen_items
    judged = []
    for stage in MEASURING_STAGES:
        path = workspace.lists_path(stage, split, seen_items)
        if stage not in summaries or f'{split}/{seen_items}' not in _measured(summaries[stage]):
            continue
        seconds = summaries[stage]['seconds']
        cases = workspace.cases(split)
        for name, found in PerUserResults.load(path).systems.items():
            judged.append(evaluator.judge(name, found, cases, seconds[f'{split}/{seen_items}/{name}']))
    return judged


def _cold_start(
    workspace: RankingFolder, judged: Sequence[SystemResult], bootstrap: Bootstrap
) -> dict[str, dict]:
    cases, ks = workspace.cases('test'), workspace.recipe.ks
    return {
        one.name: cold_start_record(
            one.recommendations.target_rank, cases, workspace.splits.train, workspace.n_items, ks, bootstrap
        )
        for one in judged
    }


def _measured(summary: dict) -> set[str]:
    # A stage that had nothing to measure says nothing: what a run from scratch is worth before training.
    return {key.rpartition('/')[0] for key in summary.get('seconds', {})}


def _ceiling(summaries: dict, split: str) -> dict[str, dict]:
    """The ceiling, and what ranking by the law itself reached on the very targets that were drawn."""
    found = summaries.get('ceiling', {}).get(split)
    return {CEILING: found['expected'], LAW_ATTAINED: found['attained_by_the_law']} if found else {}


def _pictures(workspace: RankingFolder) -> list[Picture]:
    captions = workspace.diagnostics_dir / 'captions.json'
    if not captions.exists():
        return []
    return [
        Picture(title, caption, (workspace.diagnostics_dir / file).read_bytes())
        for file, (title, caption) in json.loads(captions.read_text()).items()
    ]


def _examples(workspace: RankingFolder) -> tuple[list[UserExample], str]:
    """A dozen test users and how they were chosen; none before the trained system has answered."""
    recipe = workspace.recipe
    lists = {}
    for stage in MEASURING_STAGES:
        path = workspace.lists_path(stage, 'test', recipe.seen_items)
        if path.exists():
            lists |= PerUserResults.load(path).systems
    if recipe.name not in lists:
        return [], ''
    cases, shown = workspace.cases('test'), workspace.catalogue
    answered = PerUserResults(cases.user, cases.target, lists)
    rows, rule = choose_cases(
        answered, recipe.name, k=recipe.list_length, examples=EXAMPLE_USERS, seed=recipe.seed
    )
    found = user_examples(rows, cases, answered, shown.title, shown.item_id, recipe.list_length)
    return found, rule
