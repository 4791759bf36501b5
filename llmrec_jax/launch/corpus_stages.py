"""Stages from the source to the training examples: corpus, item vectors, semantic IDs, tasks."""

import hashlib
import logging

import numpy as np

from llmrec_jax import files
from llmrec_jax.corpora.source import identity
from llmrec_jax.corpora.split_files import save_splits
from llmrec_jax.corpora.splits import leave_last_out
from llmrec_jax.launch.ranking_folder import RankingFolder
from llmrec_jax.launch.run_folder import RunFolder
from llmrec_jax.launch.stages import Stage
from llmrec_jax.stages.catalogue_file import ShownItems, save_catalogue

LOG = logging.getLogger(__name__)
SPLITS = ('train', 'validation', 'test')


def corpus_stage(workspace: RunFolder) -> Stage:
    """Prepares the corpus in TFDS and splits it."""

    def action(_: str) -> dict:
        corpus = workspace.corpus
        save_splits(leave_last_out(corpus), workspace.splits_path)
        save_catalogue(ShownItems.of(corpus.items), workspace.catalogue_path)
        lengths = np.diff(corpus.user_offsets)
        return {
            'name': corpus.name,
            'users': len(corpus.users),
            'items': len(corpus.items),
            'events': len(corpus.events),
            'mean_history': float(lengths.mean()),
            'median_history': float(np.median(lengths)),
            'fingerprint': corpus.fingerprint(),
            'provenance': dict(corpus.provenance),
        }

    recipe = workspace.recipe
    return Stage('corpus', (), identity(recipe.corpus), ('splits.npz', 'catalogue.jsonl'), action)


def item_vectors_stage(workspace: RankingFolder) -> Stage:
    """Embeds the items' text."""
    recipe = workspace.recipe

    def action(_: str) -> dict:
        from llmrec_jax.text.item_text import item_sentences

        sentences = item_sentences(workspace.corpus.items, recipe.item_fields)
        vectors = recipe.text_encoder.encode(sentences)
        with files.written_whole(workspace.item_vectors_path) as file:
            np.save(file, vectors)
        return {
            'encoder': recipe.text_encoder.name,
            'dim': int(vectors.shape[1]),
            'sha256': hashlib.sha256(vectors.tobytes()).hexdigest(),
            'example_sentence': sentences[0],
        }

    config = (recipe.text_encoder.name, recipe.item_fields)
    return Stage('item_vectors', ('corpus',), config, ('item_vectors.npy',), action)
