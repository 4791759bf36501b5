"""Whether a corpus knows when things happened, or only in which order."""

from llmrec_jax.corpora.corpus import Corpus

# What the provenance of a source without a clock has under 'timestamps'.
POSITION = 'position in the history'


def has_clock(corpus: Corpus) -> bool:
    """Whether timestamps are seconds, so that events of different users can be put in order."""
    return corpus.provenance.get('timestamps') != POSITION
