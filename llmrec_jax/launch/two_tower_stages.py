"""Stages of a two-tower retriever beside a sequential recommender's: text vectors, the index, evaluation."""

import dataclasses

import numpy as np

from llmrec_jax import files
from llmrec_jax.evaluation.serving import built_index
from llmrec_jax.launch.corpus_stages import item_vectors_stage
from llmrec_jax.launch.sequential_stages import sequential_evaluate_stage, sequential_train_stage
from llmrec_jax.launch.stages import Stage
from llmrec_jax.launch.two_tower_workspace import TwoTowerWorkspace
from llmrec_jax.retrieval.requests import Requests
from llmrec_jax.retrieval.scann_index import ScannIndex
from llmrec_jax.training import processes


def two_tower_text_stage(workspace: TwoTowerWorkspace) -> Stage:
    """Embeds the items' text, where the item tower reads it."""
    if workspace.recipe.text_encoder is None:
        return Stage('item_vectors', ('corpus',), None, (), lambda _: {})
    return item_vectors_stage(workspace)


def two_tower_train_stage(workspace: TwoTowerWorkspace) -> Stage:
    """Trains the towers, validated by their ranking of the whole catalogue."""
    return dataclasses.replace(sequential_train_stage(workspace), needs=('tasks', 'item_vectors'))


def index_stage(workspace: TwoTowerWorkspace) -> Stage:
    """Exports the item tower's vectors and builds their index, tuned with the validation users' queries."""
    recipe = workspace.recipe

    def action(_: str) -> dict:
        tower = workspace.query_tower(workspace.params)
        vectors = tower.item_vectors()
        queries = tower(Requests(workspace.cases('validation').histories))
        if not processes.is_first():
            return {}
        index, cost = built_index(lambda: recipe.index.build(vectors, queries))
        with files.written_whole(workspace.tower_vectors_path) as file:
            np.save(file, vectors)
        index.save(workspace.index_dir)
        summary = {
            'index': type(index).__name__,
            'items': len(index),
            'dim': int(vectors.shape[1]),
            'serving': {'index': cost.as_dict()},
        }
        if isinstance(index, ScannIndex):
            summary['layout'] = dataclasses.asdict(index.layout)
            summary['recall_against_exact'] = dataclasses.asdict(index.recall)
        return summary

    # The index of a checkpoint trained elsewhere is another one.
    config = (recipe.index, workspace.checkpoint and (recipe.model, workspace.checkpoint))
    needs = ('train',) if workspace.checkpoint is None else ('tasks', 'item_vectors')
    outputs = tuple(
        str(path.relative_to(workspace.root)) for path in (workspace.tower_vectors_path, workspace.index_dir)
    )
    return Stage('index', needs, config, outputs, action, on_all=True)


def two_tower_evaluate_stage(workspace: TwoTowerWorkspace) -> Stage:
    """What the retriever finds for the test users and the validation users."""
    stage = sequential_evaluate_stage(workspace)
    return dataclasses.replace(
        stage, needs=(*stage.needs, 'index'), config=(stage.config, workspace.recipe.depth)
    )
