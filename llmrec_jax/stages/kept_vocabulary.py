"""The vocabulary that lies beside materialised examples; needs no TensorFlow."""

import hashlib
import os

from llmrec_jax.text.text_vocabulary import TextVocabulary
from llmrec_jax.training.column_files import MANIFEST, local_folder, read_manifest

FEATURES = ('inputs', 'targets')


def file_name(sha256: str) -> str:
    """How the file of a SentencePiece model is called beside examples."""
    return f'{sha256[:16]}.spiece.model'


def kept_vocabulary(directory: str | os.PathLike) -> TextVocabulary | None:
    """The vocabulary of the texts of materialised examples.

    Args:
      directory: of the examples.

    Returns:
      None where there is none: the examples are gone or of an earlier version, or their vocabulary is no
      SentencePiece model.

    Raises:
      ValueError: when inputs and targets have different vocabularies, or the file is not what was written.
    """
    folder = local_folder(directory)
    if not (folder / MANIFEST).is_file():
        return None
    vocabularies = read_manifest(folder)['provenance'].get('vocabularies', {})
    found = {vocabularies.get(feature, {}).get('sha256') for feature in FEATURES}
    if len(found) > 1:
        raise ValueError(f'{folder}: inputs and targets have vocabularies of their own, and a T5 has one')
    (sha256,) = found
    path = None if sha256 is None else folder / file_name(sha256)
    if path is None or not path.is_file():
        return None
    vocabulary = TextVocabulary.load_with_extra_ids(path)
    if hashlib.sha256(vocabulary.with_extra_ids).hexdigest() != sha256:
        raise ValueError(f'{path}: damaged; write the examples again')
    return vocabulary
