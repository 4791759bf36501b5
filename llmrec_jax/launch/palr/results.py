"""Puts a run of PALR together: its lists beside the retriever's, the cap, the floors and a blind draw."""

from collections.abc import Mapping, Sequence

from llmrec_jax.evaluation.bootstrap import Bootstrap
from llmrec_jax.evaluation.catalogue_metrics import Catalogue
from llmrec_jax.evaluation.cold_start import cold_start_record
from llmrec_jax.evaluation.environment import environment
from llmrec_jax.evaluation.evaluator import Evaluator, SystemResult
from llmrec_jax.evaluation.floors.all_floors import FLOORS
from llmrec_jax.evaluation.floors.counts import item_counts
from llmrec_jax.evaluation.per_user import PerUserResults
from llmrec_jax.evaluation.report.examples import choose_cases, user_examples
from llmrec_jax.evaluation.report.report_data import ReportData
from llmrec_jax.evaluation.results import CANDIDATE_CAP, Results
from llmrec_jax.launch.learning_curves import learning_curves
from llmrec_jax.launch.palr.answered_lists import RANDOM, WITHOUT_CANDIDATES, WRITTEN
from llmrec_jax.launch.palr.workspace import (
    CANDIDATES,
    FLOOR_LISTS,
    PALR_LISTS,
    RETRIEVER,
    PalrWorkspace,
)
from llmrec_jax.launch.results import EXAMPLE_USERS, serving_costs, stage_costs
from llmrec_jax.launch.stages import StageRecord
from llmrec_jax.prompts.palr.templates import RECOMMEND, RECOMMEND_RETRIEVAL

# Stages that leave lists, and where.
LISTS = {'evaluate': PALR_LISTS, 'candidates': CANDIDATES, 'floors': FLOOR_LISTS}
_DECODING = (
    'checkpoint',
    'with_candidates',
    'without_candidates',
    'choice',
    'choice_without_candidates',
    'choice_of_the_retriever',
    'choice_of_drawn',
    'choice_of_drawn_without_candidates',
    'by_position',
)


def assemble(workspace: PalrWorkspace, records: Sequence[StageRecord]) -> Results:
    """Judges every list that the finished stages made, and collects what they said of themselves."""
    recipe, cases = workspace.recipe, workspace.cases
    summaries = {record.name: record.summary for record in records}
    catalogue = Catalogue(
        item_counts(workspace.splits.train, workspace.n_items), categories=workspace.catalogue.categories
    )
    evaluator = Evaluator(workspace.protocol, catalogue, Bootstrap(seed=recipe.seed))
    judged = _judged(workspace, evaluator, summaries)
    systems = {one.name: one.as_dict() for one in judged}
    if 'candidates' in summaries:
        systems[CANDIDATE_CAP] = _cap(summaries['candidates']['recall'], recipe.ks)
    return Results(
        protocol={**workspace.protocol.as_dict(), 'shown_candidates': recipe.candidates},
        systems={'test': systems} if systems else {},
        corpus=summaries.get('corpus', {}),
        environment=environment(recipe.seed),
        stages=stage_costs(records),
        comparisons=evaluator.compare(judged),
        training={
            **{f'profiles_{name}': value for name, value in summaries.get('profiles', {}).items()},
            **summaries.get('tasks', {}),
            **summaries.get('train', {}),
        },
        decoding={name: value for name, value in summaries.get('evaluate', {}).items() if name in _DECODING},
        cold_start={
            one.name: cold_start_record(
                one.recommendations.target_rank,
                cases,
                workspace.splits.train,
                workspace.n_items,
                recipe.ks,
                evaluator.bootstrap,
            )
            for one in judged
        },
        serving=serving_costs(summaries),
    )


def report_data(workspace: PalrWorkspace, results: Results, config: str) -> ReportData:
    """What the page shows beside `results.json`."""
    recipe = workspace.recipe
    lists = {}
    for path in LISTS.values():
        if (workspace.root / path).exists():
            lists |= workspace.lists(path).systems
    examples, rule = [], ''
    if recipe.name in lists:
        answered = PerUserResults(workspace.cases.user, workspace.cases.target, lists)
        k = recipe.list_length
        rows, rule = choose_cases(answered, recipe.name, k=k, examples=EXAMPLE_USERS, seed=recipe.seed)
        shown = workspace.catalogue
        examples = user_examples(rows, workspace.cases, answered, shown.title, shown.item_id, k)
    called = recipe.name.upper().replace('_', '-')
    return ReportData(
        title=f'{called} on {recipe.corpus.name}',
        results=results,
        headline=recipe.name,
        floors=tuple(FLOORS),
        curves=learning_curves(workspace),
        examples=examples,
        examples_rule=rule,
        published=recipe.published,
        config=config,
        labels={
            recipe.name: called,
            f'{recipe.name}_{WRITTEN}': f'{called}, not filled up',
            f'{recipe.name}_{WITHOUT_CANDIDATES}': f'{called}, no candidates shown',
            RETRIEVER: 'The retriever itself',
            RANDOM: 'A blind draw of the candidates',
        },
    )


def _judged(
    workspace: PalrWorkspace, evaluator: Evaluator, summaries: Mapping[str, dict]
) -> list[SystemResult]:
    judged = []
    for stage, path in LISTS.items():
        if stage not in summaries:
            continue
        seconds = _seconds(workspace, stage, summaries)
        for name, found in workspace.lists(path).systems.items():
            judged.append(evaluator.judge(name, found, workspace.cases, seconds[name]))
    return judged


def _seconds(workspace: PalrWorkspace, stage: str, summaries: Mapping[str, dict]) -> dict[str, float]:
    """What each system of a stage took."""
    recipe, seconds = workspace.recipe, summaries[stage]['seconds']
    if stage == 'candidates':
        return {RETRIEVER: seconds}
    if stage == 'floors':
        return seconds
    choosing, free = (seconds[recipe.tasks.evaluated(group)] for group in (RECOMMEND_RETRIEVAL, RECOMMEND))
    return {
        recipe.name: choosing,
        f'{recipe.name}_{WRITTEN}': choosing,
        f'{recipe.name}_{WITHOUT_CANDIDATES}': free,
        RANDOM: summaries['candidates']['seconds'],
    }


def _cap(recall: float, ks: Sequence[int]) -> dict[str, float]:
    """What whoever chooses from the candidates can reach: the target first wherever it is among them."""
    return {f'{name}@{k}': recall for k in ks for name in ('recall', 'ndcg', 'mrr')}
