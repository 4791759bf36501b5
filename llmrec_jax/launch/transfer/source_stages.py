"""Stages that bring to disk what is learned from: the sources' sequences, all texts, and their codes."""

import hashlib
import json
import logging

import numpy as np

from llmrec_jax import files
from llmrec_jax.corpora.source import identity
from llmrec_jax.corpora.splits import leave_last_out
from llmrec_jax.launch.stages import Stage
from llmrec_jax.launch.transfer.examples import whole_histories
from llmrec_jax.launch.transfer.source_domains import TEXT, centred, join
from llmrec_jax.launch.transfer.workspace import SOURCES, TARGET, TransferWorkspace
from llmrec_jax.semantic_ids.item_codes import code_items
from llmrec_jax.text.word_drop import drop_words
from llmrec_jax.training.columns import write_columns

LOG = logging.getLogger(__name__)


def sources_stage(workspace: TransferWorkspace) -> Stage:
    """Prepares the domains that are learned from."""
    recipe = workspace.recipe

    def action(_: str) -> dict:
        import tensorflow_datasets as tfds

        from llmrec_jax.corpora.prepare import load_corpus, prepare
        from llmrec_jax.text.item_text import item_sentences

        tfds.disable_progress_bar()
        corpora = [load_corpus(prepare(source, recipe.data_dir)) for source in recipe.sources]
        sentences = [item_sentences(corpus.items, recipe.item_fields) for corpus in corpora]
        files.write_json(workspace.source_sentences_path, [text for part in sentences for text in part])
        domains = join([leave_last_out(corpus) for corpus in corpora], [len(one.items) for one in corpora])
        domains.save(workspace.domains_path)
        return {
            'domains': [corpus.name for corpus in corpora],
            'corpora': [corpus.fingerprint() for corpus in corpora],
            'items': list(domains.n_items),
            'users': len(domains.train),
            'events': len(domains.train.values),
        }

    config = ([identity(source) for source in recipe.sources], recipe.item_fields)
    return Stage('sources', (), config, ('sources/domains.npz', 'sources/sentences.json'), action)


def pretraining_tasks_stage(workspace: TransferWorkspace) -> Stage:
    """Writes the examples of pre-training: the sources' histories, or what a control leaves of them."""
    recipe = workspace.recipe

    def action(_: str) -> dict:
        store = write_columns(
            workspace.sources_dir / 'train',
            whole_histories(workspace.domains.train, recipe.task.max_items),
            {'corpora': workspace.stage_summary('sources')['corpora'], 'shuffle': recipe.shuffle},
        )
        return {'examples': len(store)}

    config = (recipe.shuffle, recipe.seed, recipe.task.max_items)
    return Stage('pretraining_tasks', ('sources',), config, ('sources/train/manifest.json',), action)


def vectors_stage(workspace: TransferWorkspace) -> Stage:
    """Embeds the texts of all domains in one space: an encoder that is fitted to texts sees all."""
    recipe = workspace.recipe

    def action(_: str) -> dict:
        from llmrec_jax.text.item_text import item_sentences

        target = item_sentences(workspace.corpus.items, recipe.item_fields)
        sources = json.loads(workspace.source_sentences_path.read_text())
        dropped = drop_words(sources, recipe.dropped_words, recipe.seed) if workspace.drops_words else []
        vectors = recipe.text_encoder.encode([*target, *sources, *dropped])
        if recipe.centred:
            n_items = workspace.stage_summary('sources')['items']
            vectors = centred(vectors, [len(target), *n_items, *(n_items if dropped else [])])
        of_sources = np.split(vectors[len(target) :], [len(sources)])
        paths = [workspace.item_vectors_path, workspace.source_vectors_path(dropped=False)]
        paths += [workspace.source_vectors_path(dropped=True)] if workspace.drops_words else []
        for path, part in zip(paths, (vectors[: len(target)], *of_sources)):
            with files.written_whole(path) as file:
                np.save(file, part)
        return {
            'encoder': recipe.text_encoder.name,
            'dim': int(vectors.shape[1]),
            'sha256': hashlib.sha256(vectors.tobytes()).hexdigest(),
            'example_sentence': target[0],
        }

    drops = workspace.drops_words
    dropped_words = drops and (recipe.dropped_words, recipe.seed)
    config = (recipe.text_encoder.name, recipe.item_fields, dropped_words, recipe.centred)
    outputs = ('item_vectors.npy', 'sources/vectors.npy', *(['sources/dropped_vectors.npy'] if drops else []))
    return Stage('item_vectors', ('corpus', 'sources'), config, outputs, action)


def codes_stage(workspace: TransferWorkspace) -> Stage:
    """Codes all items by codebooks of the sources' texts (VQ-Rec's strict mode), if there is a quantizer."""
    recipe = workspace.recipe
    if recipe.quantizer is None:
        return Stage('codes', (), (), (), lambda _: {})

    def action(_: str) -> dict:
        codebooks, lost = recipe.quantizer.fit(workspace.source_vectors, recipe.seed)
        summary = {'relative_error': lost[-1], 'items_that_share_all_codes': {}}
        for domain, vectors in ((SOURCES, workspace.source_vectors), (TARGET, workspace.item_vectors)):
            codes = code_items(vectors, codebooks, {'encoder': recipe.text_encoder.name})
            codes.save(workspace.codes_path(domain))
            summary['items_that_share_all_codes'][domain] = codes.indistinguishable
            LOG.info('codes of %s: %d of %d items share all', domain, codes.indistinguishable, len(vectors))
        return summary

    outputs = tuple(f'codes/{domain}.npz' for domain in (SOURCES, TARGET))
    config = (recipe.quantizer, recipe.shuffle == TEXT, recipe.seed)
    return Stage('codes', ('item_vectors',), config, outputs, action)
