"""Stages from the source to the training examples: corpus, item vectors, semantic IDs, tasks."""

import hashlib
import logging
import os

import numpy as np

from llmrec_jax import files
from llmrec_jax.corpora.source import identity
from llmrec_jax.corpora.split_files import save_splits
from llmrec_jax.corpora.splits import leave_last_out
from llmrec_jax.launch.catalogue_file import save_catalogue
from llmrec_jax.launch.ranking_folder import RankingFolder
from llmrec_jax.launch.run_folder import RunFolder
from llmrec_jax.launch.stages import Stage
from llmrec_jax.launch.workspace import Workspace
from llmrec_jax.semantic_ids.build import build_code_table
from llmrec_jax.semantic_ids.code_table import CodeTable
from llmrec_jax.semantic_ids.diagnostics import check_health, diagnose
from llmrec_jax.semantic_ids.neighbours import example_neighbours
from llmrec_jax.semantic_ids.quantization import Quantization

LOG = logging.getLogger(__name__)
SPLITS = ('train', 'validation', 'test')


def corpus_stage(workspace: RunFolder) -> Stage:
    """Prepares the corpus in TFDS and splits it."""

    def action(_: str) -> dict:
        corpus = workspace.corpus
        save_splits(leave_last_out(corpus), workspace.splits_path)
        save_catalogue(corpus.items, workspace.catalogue_path)
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


def semantic_ids_stage(workspace: Workspace) -> Stage:
    """Quantizes the item vectors, resolves collisions, and shows what came of it."""
    recipe = workspace.recipe

    def action(_: str) -> dict:
        vectors = workspace.item_vectors
        table, quantization = build_code_table(
            vectors,
            recipe.quantizer,
            seed=recipe.semantic_id_seed,
            capacity=recipe.layout.codebook_sizes[-1],
            provenance={'encoder': recipe.text_encoder.name},
        )
        if table.codebook_sizes != recipe.layout.codebook_sizes:
            raise ValueError(
                f'the quantizer and the collision level make codebooks of {table.codebook_sizes}, but '
                f'TokenLayout.codebook_sizes is {recipe.layout.codebook_sizes}'
            )
        table.save(recipe.task.code_table)
        found = diagnose(quantization, vectors)
        findings = check_health(found)
        for finding in findings:
            LOG.warning('semantic IDs: %s', finding)
        summary = {
            'fingerprint': table.fingerprint,
            'codebook_sizes': list(table.codebook_sizes),
            'diagnostics': found,
            'findings': findings,
        }
        files.write_json(workspace.diagnostics_dir / 'diagnostics.json', summary)
        _draw_pictures(workspace, quantization, table)
        return summary

    config = (recipe.quantizer, recipe.semantic_id_seed, recipe.layout)
    outputs = (os.path.abspath(recipe.task.code_table), 'semantic_ids/diagnostics.json')
    return Stage('semantic_ids', ('item_vectors',), config, outputs, action)


def _draw_pictures(workspace: Workspace, quantization: Quantization, table: CodeTable) -> None:
    from llmrec_jax.semantic_ids import pictures

    codes, sizes = quantization.codes, quantization.codebook_sizes
    drawn = {
        'usage.png': (
            'Codebook usage',
            'Items a codeword at each learned level, most used first; the dashed line is even use.',
            pictures.usage_histogram(codes, sizes),
        ),
        'collision_level.png': (
            'Collision level',
            'How many items needed each code of the level that tells equal tuples apart.',
            pictures.usage_histogram(table.codes[:, -1:], table.codebook_sizes[-1:]),
        ),
        'first_code.png': (
            'Item space',
            'Item vectors in their first two principal components, coloured by the first code.',
            pictures.first_code_scatter(workspace.item_vectors, codes),
        ),
    }
    if quantization.history:
        drawn['learning.png'] = (
            'Learning the codes',
            'The quantizer round by round.',
            pictures.learning_curves(quantization.history),
        )
    for file, (_, _, png) in drawn.items():
        files.write_bytes(workspace.diagnostics_dir / file, png)
    captions = {file: (title, caption) for file, (title, caption, _) in drawn.items()}
    files.write_json(workspace.diagnostics_dir / 'captions.json', captions)
    neighbours = example_neighbours(codes, seed=workspace.recipe.seed)
    titles = workspace.catalogue.title
    files.write_json(
        workspace.diagnostics_dir / 'neighbours.json',
        [
            {
                'item': titles[one.item],
                'codes': list(one.codes),
                'shared_levels': one.shared_levels,
                'neighbours': [titles[other] for other in one.neighbours],
                'n_neighbours': one.n_neighbours,
            }
            for one in neighbours
        ],
    )


def tasks_stage(workspace: Workspace) -> Stage:
    """Runs the SeqIO task over every split and keeps the examples as columns."""
    recipe = workspace.recipe

    def action(_: str) -> dict:
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
