"""Stages that ask systems for their lists: floors, content retrieval, the ceiling, and the trained system.

They keep what every system answered; what it is worth is judged when results are put together.
"""

import dataclasses
import time
from collections.abc import Mapping

from llmrec_jax.evaluation.floors.all_floors import fit_floors
from llmrec_jax.evaluation.per_user import PerUserResults
from llmrec_jax.evaluation.protocol import SEEN_ITEMS, SPLITS
from llmrec_jax.evaluation.recommendations import Recommendations
from llmrec_jax.evaluation.recommender import Recommender
from llmrec_jax.evaluation.retrieval_recommender import RetrievalRecommender
from llmrec_jax.evaluation.serving import built_index
from llmrec_jax.launch.ranking_folder import RankingFolder
from llmrec_jax.launch.stages import Stage
from llmrec_jax.retrieval.query_encoders import HistoryVectors
from llmrec_jax.retrieval.vector_retriever import VectorRetriever
from llmrec_jax.training import processes

CONTENT_NAMES = {'last_item': 'content_scann', 'history_mean': 'content_scann_mean'}
SCANN_CHECK_QUERIES = 1000


def floors_stage(workspace: RankingFolder) -> Stage:
    """The systems that only count."""

    def action(_: str) -> dict:
        splits = workspace.splits
        floors = fit_floors(splits.train, workspace.n_items)
        return {'seconds': measure_all(workspace, 'floors', floors)}

    return Stage('floors', ('corpus',), drawn(workspace), outputs('floors'), action)


def content_stage(workspace: RankingFolder) -> Stage:
    """Nearest neighbours of the history in the space of item vectors, found by ScaNN, checked exactly."""

    def action(_: str) -> dict:
        # ScaNN's kernels are loaded here, because a run of other stages needs none of them.
        from llmrec_jax.retrieval.exact import ExactSearch
        from llmrec_jax.retrieval.recall import recall_against_exact
        from llmrec_jax.retrieval.scann_index import ScannIndex

        vectors = workspace.item_vectors
        index, cost = built_index(lambda: ScannIndex.build(vectors))
        systems = {
            name: RetrievalRecommender(VectorRetriever(index, HistoryVectors(vectors, pooling)))
            for pooling, name in CONTENT_NAMES.items()
        }
        seconds = measure_all(workspace, 'content', systems)
        queries = vectors[:SCANN_CHECK_QUERIES]
        k = workspace.recipe.list_length
        return {
            'seconds': seconds,
            'scann_layout': dataclasses.asdict(index.layout),
            'serving': {'scann_index': cost.as_dict()},
            f'scann_recall@{k}_against_exact': recall_against_exact(index, ExactSearch(vectors), queries, k),
        }

    return Stage('content', ('corpus', 'item_vectors'), drawn(workspace), outputs('content'), action)


def ceiling_stage(workspace: RankingFolder) -> Stage:
    """What no recommender can exceed, where the corpus was made from a known law; nothing elsewhere."""

    def action(_: str) -> dict:
        corpus = workspace.recipe.corpus
        if not hasattr(corpus, 'law'):
            return {}
        from llmrec_jax.corpora.simulated_shop.ceiling import BayesRecommender, ceiling

        law = corpus.law()
        ks = workspace.recipe.ks
        found = {}
        for split in SPLITS:
            cases = workspace.cases(split)
            found[split] = {
                'expected': ceiling(law, cases, ks),
                'attained_by_the_law': BayesRecommender(law).attained(cases, ks),
            }
        return found

    return Stage('ceiling', ('corpus',), (workspace.recipe.ks, drawn(workspace)), (), action)


def measure_all(workspace: RankingFolder, stage: str, systems: Mapping[str, Recommender]) -> dict[str, float]:
    """Every split under both positions of the seen-items switch."""
    seconds = {}
    for split in SPLITS:
        for seen_items in SEEN_ITEMS:
            seconds |= measure(workspace, stage, systems, split, seen_items)
    return seconds


def measure(
    workspace: RankingFolder,
    stage: str,
    systems: Mapping[str, Recommender],
    split: str,
    seen_items: str,
) -> dict[str, float]:
    """Keeps the systems' lists; returns the seconds each took, by 'split/seen_items/system'."""
    cases = workspace.cases(split)
    found: dict[str, Recommendations] = {}
    seconds = {}
    for name, system in systems.items():
        started = time.perf_counter()
        try:
            found[name] = system.recommend(cases, workspace.recipe.list_length, seen_items=seen_items)
        except ValueError as error:
            raise ValueError(f'system {name!r}: {error}') from error
        seconds[f'{split}/{seen_items}/{name}'] = time.perf_counter() - started
    if processes.is_first():
        path = workspace.lists_path(stage, split, seen_items)
        PerUserResults(cases.user, cases.target, found).save(path)
    return seconds


def drawn(workspace: RankingFolder) -> tuple[int | None, ...]:
    """What decides which lists are asked for."""
    recipe = workspace.recipe
    return recipe.list_length, recipe.validation_users, recipe.seed


def outputs(stage: str) -> tuple[str, ...]:
    """Where `measure_all` leaves the lists."""
    return tuple(f'evaluation/{stage}/{split}_{seen}.npz' for split in SPLITS for seen in SEEN_ITEMS)
