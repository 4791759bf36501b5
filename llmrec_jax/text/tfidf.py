"""TF-IDF with truncated SVD (latent semantic analysis): the encoder that needs no weights."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

DEFAULT_DIM = 256
# Below this a vector is the SVD's rounding error, and its direction means nothing.
SMALLEST_NORM = 1e-9


@dataclasses.dataclass(frozen=True)
class TfidfSvd:
    """Vectors from the words of the very texts they are for.

    It is fitted on the texts that it encodes, so the vectors of two calls compare only if their texts are the
    same. The same texts give the same vectors; another seed, nearly the same.

    Attributes:
      dim: width of a vector, at most the number of texts and of distinct words; None for `DEFAULT_DIM`, or
        that bound where it is smaller.
      seed: of the randomised SVD.
      min_texts: a word found in fewer texts is left out.
      longest_phrase: up to how many words in a row count as a term of their own.
      n_iter: power iterations of the SVD; more of them make it exacter and independent of the seed.
    """

    dim: int | None = None
    seed: int = 0
    min_texts: int = 1
    longest_phrase: int = 1
    n_iter: int = 7

    @property
    def name(self) -> str:
        """See `TextEncoder.name`."""
        return f'tfidf_svd({dataclasses.asdict(self)})'

    def encode(self, texts: Sequence[str]) -> Float32[np.ndarray, 'texts dim']:
        """Fits on the texts and encodes them.

        Raises:
          ValueError: there are fewer than two texts, `dim` is more than they support (the message says how
            much they do), or a text has no word that is kept.
        """
        if len(texts) < 2:
            raise ValueError(f'TF-IDF with SVD compares texts with each other; {len(texts)} are too few')
        vectorizer = TfidfVectorizer(
            sublinear_tf=True,
            min_df=self.min_texts,
            ngram_range=(1, self.longest_phrase),
            # Single characters are words too: sizes, doses and models are told apart by them.
            token_pattern=r'(?u)\b\w+\b',
            dtype=np.float64,
        )
        try:
            weights = vectorizer.fit_transform(texts)
        except ValueError as error:
            raise ValueError(
                f'no word of the {len(texts)} texts is left to compare them by ({error}); lower '
                f'TfidfSvd.min_texts={self.min_texts} or describe the items'
            ) from error
        wordless = np.flatnonzero(np.diff(weights.indptr) == 0)
        if len(wordless):
            raise ValueError(
                f'{len(wordless)} of {len(texts)} texts have no word that {self.min_texts} texts hold, first '
                f'text {wordless[0]}, {texts[wordless[0]]!r}: lower TfidfSvd.min_texts or describe the item'
            )
        dim = self._dim(min(weights.shape))
        svd = TruncatedSVD(dim, n_iter=self.n_iter, random_state=self.seed)
        vectors = svd.fit_transform(weights)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        lost = np.flatnonzero(norms[:, 0] < SMALLEST_NORM)
        if len(lost):
            raise ValueError(
                f'{len(lost)} of {len(texts)} texts have no part in the first {dim} directions of all, first '
                f'text {lost[0]}, {texts[lost[0]]!r}: raise TfidfSvd.dim'
            )
        return (vectors / norms).astype(np.float32)

    def _dim(self, largest: int) -> int:
        if self.dim is None:
            return min(DEFAULT_DIM, largest)
        if not 1 <= self.dim <= largest:
            raise ValueError(
                f'TfidfSvd.dim={self.dim}, but these texts support 1 to {largest} dimensions; '
                f'--gin.TfidfSvd.dim=None takes {min(DEFAULT_DIM, largest)}'
            )
        return self.dim
