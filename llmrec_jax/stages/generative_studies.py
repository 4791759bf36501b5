"""Stages that study a trained generative retriever, where its recipe asks for them."""

from llmrec_jax.runs.stage import Stage
from llmrec_jax.stages.diversity import Diversity, MeasureDiversity
from llmrec_jax.stages.rank import Ranking, Retrieval
from llmrec_jax.stages.unseen_items import MeasureUnseenItems, UnseenItems


def studies(
    system: str,
    retrieval: Retrieval,
    ranking: Ranking,
    unseen_items: UnseenItems | None,
    diversity: Diversity | None,
) -> list[Stage]:
    """The studies that are asked for.

    Args:
      system: what the retriever is called.
      retrieval: how it answers; its recommender is a `searched.BeamRecommender`.
      ranking: the main protocol.
      unseen_items: what is asked about items without training events; None for nothing.
      diversity: what is asked about temperatures; None for nothing.
    """
    asked = {'retrieval': retrieval, 'seen_items': ranking.seen_items, 'seed': ranking.seed}
    found: list[Stage] = []
    if unseen_items is not None:
        found.append(MeasureUnseenItems(system=system, asked=unseen_items, **asked))
    if diversity is not None:
        found.append(MeasureDiversity(asked=diversity, **asked))
    return found
