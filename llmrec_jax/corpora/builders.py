"""The TFDS builders of the sources that come with the library; importing this module registers them with TFDS."""

from llmrec_jax.corpora.sequence_files import SequenceFiles
from llmrec_jax.corpora.source import CorpusSource
from llmrec_jax.corpora.tfds_builder import CorpusBuilder


class SequenceFilesBuilder(CorpusBuilder):
    """Directories in the S3-Rec and P5 form."""

    name = 'llmrec_sequence_files'


class OtherCorpusBuilder(CorpusBuilder):
    """Corpora of sources that are defined outside the library."""

    name = 'llmrec_other_corpus'


_BUILDERS = {SequenceFiles: SequenceFilesBuilder}


def builder_class(source: CorpusSource) -> type[CorpusBuilder]:
    """The TFDS builder that writes the corpus of `source`."""
    return _BUILDERS.get(type(source), OtherCorpusBuilder)
