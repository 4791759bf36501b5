"""The stage that trains: from materialised examples to the best checkpoint, without TensorFlow."""

import dataclasses
import json
import logging
import math
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Int

from llmrec_jax import files
from llmrec_jax.evaluation.metrics import mean_over_cases, ndcg_at_k, recall_at_k
from llmrec_jax.launch.run_folder import RunFolder
from llmrec_jax.launch.stages import Stage
from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.training import processes
from llmrec_jax.training.columns import ColumnStore
from llmrec_jax.training.loop import Validate
from llmrec_jax.training.mesh import STANDARD_RULES, MeshShape
from llmrec_jax.training.train_state import PARAMETERS
from llmrec_jax.training.trainer import CHECKPOINTS, Trainer

LOG = logging.getLogger(__name__)
OWNER = 'training_stage.json'
PRODUCTS = (CHECKPOINTS, 'metrics.jsonl', 'validation.jsonl', 'tensorboard', 'training_input.json')


def training_stage(
    workspace: RunFolder,
    network: object,
    validation: tuple[Any, ...],
    examples: Callable[[], ColumnStore],
    validate: Callable[[], Validate],
) -> Stage:
    """Trains a recipe's model, or goes on where a killed run of the same recipe was.

    Args:
      workspace: of any recipe; the stage needs its stage 'tasks'.
      network: what of the recipe's model decides the trained network; anything `fingerprint` can describe.
      validation: what decides the validation metrics, beside the examples and the network.
      examples: gives the training examples.
      validate: gives the validation.
    """
    recipe = workspace.recipe

    def action(fingerprint: str) -> dict:
        processes.from_first(lambda: set_aside(workspace.root, fingerprint))
        result = workspace.trainer.fit(workspace.model, examples(), workspace.root, validate=validate())
        return {
            **{
                name: os.path.relpath(value, workspace.root) if isinstance(value, pathlib.Path) else value
                for name, value in dataclasses.asdict(result).items()
            },
            'parameters': parameter_count(workspace),
        }

    config = (network, law_of(recipe.trainer), *validation)
    return Stage('train', ('tasks',), config, (CHECKPOINTS, 'metrics.jsonl'), action, on_all=True)


def trained_part(model: EncoderDecoderModel) -> EncoderDecoderModel:
    """What of a model decides the trained network; another beam, or words left out of inference, does not."""
    whole_words = model.whole_words
    if whole_words is not None:
        whole_words = dataclasses.replace(whole_words, omitted_at_inference=False)
    return dataclasses.replace(model, decode_fn=None, whole_words=whole_words)


def law_of(trainer: Trainer) -> Trainer:
    """What of a trainer decides the trained network; on how many devices, and watched how, does not.

    So a run may go on over another mesh, and a profile of some steps trains nothing anew.
    """
    return dataclasses.replace(
        trainer,
        mesh=MeshShape(),
        logical_axis_rules=STANDARD_RULES,
        optimizer_sharding=PARAMETERS,
        profile_steps=None,
    )


def parameter_count(workspace: RunFolder) -> int:
    """Number of parameters of the recipe's model."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(workspace.abstract_params))


def ranking_metrics(ranks: Int[np.ndarray, 'cases'], ks: Sequence[int]) -> dict[str, float]:
    """Recall and NDCG at each cut-off, by the names that validation gives them."""
    named = {f'recall@{k}': mean_over_cases(recall_at_k(ranks, k)) for k in ks}
    return named | {f'ndcg@{k}': mean_over_cases(ndcg_at_k(ranks, k)) for k in ks}


def set_aside(root: pathlib.Path, fingerprint: str) -> None:
    """Moves away what another configuration trained here, so that this one does not go on with it."""
    owner = root / OWNER
    previous = json.loads(owner.read_text())['fingerprint'] if owner.exists() else None
    if previous != fingerprint:
        found = [name for name in PRODUCTS if (root / name).exists()]
        if found:
            aside = root / 'superseded' / (previous or 'unknown')[:12]
            LOG.info('the training recipe changed: what it trained before is now in %s', aside)
            aside.mkdir(parents=True, exist_ok=True)
            for name in found:
                os.replace(root / name, _free(aside / name))
        files.write_json(owner, {'fingerprint': fingerprint})


def _free(path: pathlib.Path) -> pathlib.Path:
    """`path`, or the first of `path.1`, `path.2`, ... that is not taken."""
    candidate, number = path, 0
    while candidate.exists():
        number += 1
        candidate = path.with_name(f'{path.name}.{number}')
    return candidate
