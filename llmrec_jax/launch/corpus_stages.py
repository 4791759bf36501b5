"""Stages from the source to the training examples: corpus, item vectors, semantic IDs, tasks."""

import hashlib
import os

import numpy as np

from llmrec_jax.corpora.source import identity
from llmrec_jax.corpora.split_files import save_splits
from llmrec_jax.corpora.splits import leave_last_out
from llmrec_jax.launch.stages import Stage
from llmrec_jax.launch.workspace import Workspace, write_bytes, write_json
from llmrec_jax.semantic_ids.code_table import CodeTable
from llmrec_jax.semantic_ids.collisions import resolve

SPLITS = ('train', 'validation', 'test')


def corpus_stage(workspace: Workspace) -> Stage:
    """Prepares the corpus in TFDS and splits it."""

    def action() -> dict:
        corpus = workspace.corpus
        save_splits(leave_last_out(corpus), workspace.splits_path)
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
    return Stage('corpus', (), identity(recipe.corpus), ('splits.npz',), action)


def item_vectors_stage(workspace: Workspace) -> Stage:
    """Embeds the items' text."""
    recipe = workspace.recipe

    def action() -> dict:
        from llmrec_jax.text.item_text import item_sentences

        sentences = item_sentences(workspace.corpus.items, recipe.item_fields)
        vectors = recipe.text_encoder.encode(sentences)
        beside = workspace.item_vectors_path.with_suffix('.partial')
        with beside.open('wb') as file:
            np.save(file, vectors)
        beside.replace(workspace.item_vectors_path)
        return {
            'encoder': recipe.text_encoder.name,
            'dim': int(vectors.shape[1]),
            'sha256': _sha256(vectors),
            'example_sentence': sentences[0],
        }

    config = (recipe.text_encoder.name, recipe.item_fields)
    return Stage('item_vectors', ('corpus',), config, ('item_vectors.npy',), action)


def semantic_ids_stage(workspace: Workspace) -> Stage:
    """Quantizes the item vectors, resolves collisions, and shows what came of it."""
    recipe = workspace.recipe

    def action() -> dict:
        from llmrec_jax.semantic_ids import diagnostics, pictures

        vectors = workspace.item_vectors
        quantization = recipe.quantizer.quantize(vectors, recipe.semantic_id_seed)
        codes, sizes = resolve(
            quantization.codes, quantization.codebook_sizes, capacity=recipe.layout.codebook_sizes[-1]
        )
        provenance = {
            'vectors_sha256': _sha256(vectors),
            'encoder': recipe.text_encoder.name,
            'quantizer': repr(recipe.quantizer),
            'seed': recipe.semantic_id_seed,
        }
        table = CodeTable(codes, sizes, provenance)
        if table.codebook_sizes != recipe.layout.codebook_sizes:
            raise ValueError(
                f'the quantizer and the collision level make codebooks of {table.codebook_sizes}, but '
                f'TokenLayout.codebook_sizes is {recipe.layout.codebook_sizes}'
            )
        table.save(recipe.task.code_table)
        found = diagnostics.diagnose(quantization, vectors)
        for name, picture in pictures.draw(quantization, vectors).items():
            write_bytes(workspace.diagnostics_dir / f'{name}.png', picture)
        write_json(workspace.diagnostics_dir / 'diagnostics.json', found)
        return {'fingerprint': table.fingerprint, 'codebook_sizes': list(sizes), 'diagnostics': found}

    config = (recipe.quantizer, recipe.semantic_id_seed, recipe.layout)
    outputs = (os.path.abspath(recipe.task.code_table), 'semantic_ids/diagnostics.json')
    return Stage('semantic_ids', ('item_vectors',), config, outputs, action)


def tasks_stage(workspace: Workspace) -> Stage:
    """Runs the SeqIO task over every split and keeps the examples as columns."""
    recipe = workspace.recipe

    def action() -> dict:
        from llmrec_jax.launch.materialise import materialise

        name = recipe.task.register()
        summary: dict = {'task': name, 'examples': {}, 'mean_input_tokens': {}}
        for split in SPLITS:
            store = materialise(
                name,
                split,
                workspace.examples_dir(split),
                feature_lengths=recipe.task.feature_lengths,
                kept=('user', 'target_item'),
                provenance={'code_table': workspace.code_table.fingerprint},
            )
            summary['examples'][split] = len(store)
            summary['mean_input_tokens'][split] = float(store.lengths('inputs').mean())
        return summary

    config = (recipe.task.max_items, recipe.layout)
    outputs = tuple(f'tasks/{split}/manifest.json' for split in SPLITS)
    return Stage('tasks', ('corpus', 'semantic_ids'), config, outputs, action)


def _sha256(vectors: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(vectors).tobytes()).hexdigest()
