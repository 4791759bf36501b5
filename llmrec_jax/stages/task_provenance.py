"""What is to be known of a SeqIO task whose examples are kept: nothing in it depends on when it was run."""

import hashlib
from importlib import metadata
from typing import Any

import seqio
import tensorflow as tf

from llmrec_jax.stages.kept_vocabulary import file_name
from llmrec_jax.version import __version__

PACKAGES = ('seqio', 'sentencepiece')


def task_provenance(provider: seqio.Task | seqio.Mixture) -> dict[str, Any]:
    """The task's name, its tasks if it is a mixture, the vocabulary of each feature, and versions."""
    facts: dict[str, Any] = {'task': provider.name}
    if isinstance(provider, seqio.Mixture):
        facts['mixture'] = sorted(task.name for task in provider.tasks)
    features = provider.output_features
    facts['vocabularies'] = {name: vocabulary_facts(feature.vocabulary) for name, feature in features.items()}
    # TensorFlow is asked itself, because its package has more names than one.
    versions = {'llmrec_jax': __version__, 'tensorflow': tf.__version__}
    facts['versions'] = versions | {name: metadata.version(name) for name in PACKAGES}
    return facts


def sentencepiece_models(provider: seqio.Task | seqio.Mixture) -> dict[str, bytes]:
    """Name of a file, as `file_name` has it -> a SentencePiece model of the features, extra ids included."""
    found = (getattr(feature.vocabulary, 'sp_model', None) for feature in provider.output_features.values())
    return {file_name(hashlib.sha256(model).hexdigest()): model for model in found if model is not None}


def vocabulary_facts(vocabulary: seqio.Vocabulary) -> dict[str, Any]:
    """Class, size and special tokens; the sha256 of the model where there is one."""
    facts: dict[str, Any] = {
        'class': f'{type(vocabulary).__module__}.{type(vocabulary).__qualname__}',
        'size': vocabulary.vocab_size,
        'eos_id': vocabulary.eos_id,
        'unk_id': vocabulary.unk_id,
    }
    model = getattr(vocabulary, 'sp_model', None)
    if model is not None:
        facts['sha256'] = hashlib.sha256(model).hexdigest()
    return facts
