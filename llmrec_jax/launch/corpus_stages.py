"""The stage that prepares a corpus."""

import numpy as np

from llmrec_jax.corpora.source import identity
from llmrec_jax.corpora.split_files import save_splits
from llmrec_jax.corpora.splits import leave_last_out
from llmrec_jax.launch.run_folder import RunFolder
from llmrec_jax.launch.stages import Stage
from llmrec_jax.stages.catalogue_file import ShownItems, save_catalogue


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
