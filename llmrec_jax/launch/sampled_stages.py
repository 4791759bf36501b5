"""Stages that rank targets among drawn items, where a recipe asks for such protocols; nothing elsewhere.

Of the floors and the trained model alone, which score every item. A two-tower retriever is asked for its
towers' exact inner products, not for what its index finds.
"""

from collections.abc import Mapping
from typing import Any

from llmrec_jax.evaluation.bootstrap import Bootstrap
from llmrec_jax.evaluation.floors.all_floors import fit_floors
from llmrec_jax.evaluation.floors.counts import item_counts
from llmrec_jax.evaluation.recommender import DenseRecommender
from llmrec_jax.evaluation.sampled_metrics import joined_records, sampled_record
from llmrec_jax.launch.query_tower import TowerScores
from llmrec_jax.launch.sequential_workspace import SequentialWorkspace
from llmrec_jax.launch.stages import Stage

FLOORS_STAGE, MODEL_STAGE = 'sampled_floors', 'sampled'


def sampled_floors_stage(workspace: SequentialWorkspace) -> Stage:
    """The systems that only count.

    It comes before any training, so that a protocol that wants more items than there are is told at once.
    """
    recipe = workspace.recipe
    if not recipe.sampled:
        return Stage(FLOORS_STAGE, (), None, (), lambda _: {})

    def action(_: str) -> dict:
        return _measured(workspace, fit_floors(workspace.splits.train, workspace.n_items))

    return Stage(FLOORS_STAGE, ('corpus',), (recipe.sampled, recipe.seed), (), action)


def sampled_stage(workspace: SequentialWorkspace) -> Stage:
    """The trained model, with the parameters that were evaluated on the whole catalogue."""
    recipe = workspace.recipe
    if not recipe.sampled:
        return Stage(MODEL_STAGE, (), None, (), lambda _: {})

    def action(_: str) -> dict:
        scores = TowerScores(workspace.query_tower(workspace.params))
        return _measured(workspace, {recipe.name: scores}, recipe.ranking_batch_size)

    config = (recipe.sampled, recipe.seed, recipe.name)
    return Stage(MODEL_STAGE, ('evaluate',), config, (), action, on_all=True)


def sampled_records(summaries: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What the finished stages measured, by their summaries, as `Results.sampled` holds it."""
    parts = [summaries[name]['protocols'] for name in (FLOORS_STAGE, MODEL_STAGE) if summaries.get(name)]
    return joined_records(*parts)


def _measured(
    workspace: SequentialWorkspace,
    systems: Mapping[str, DenseRecommender],
    cases_at_once: int | None = None,
) -> dict:
    recipe, splits = workspace.recipe, workspace.splits
    counts, bootstrap = item_counts(splits.train, workspace.n_items), Bootstrap(seed=recipe.seed)
    return {
        'protocols': [
            sampled_record(protocol, systems, splits, counts, bootstrap, cases_at_once)
            for protocol in recipe.sampled
        ]
    }
