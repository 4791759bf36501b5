"""Optimised product quantisation: a rotation, then k-means in each part of the vector (VQ-Rec, 3.1)."""

import dataclasses

import jax
import numpy as np
from jaxtyping import Float, Int

from llmrec_jax.semantic_ids.kmeans import fit_kmeans
from llmrec_jax.semantic_ids.quantization import Progress, Quantization, check_vectors

# So many rows are compared with the codewords at once: the table of distances stays in cache and in memory.
ROWS_AT_ONCE = 8192
# Of the largest variance; an axis with less counts as one with this much.
LEAST_VARIANCE = 1e-10


@dataclasses.dataclass(frozen=True)
class ProductCodebooks:
    """What product quantisation learned; codes any vectors of the same width, also of another domain.

    Attributes:
      rotation: orthogonal; a vector `x` is rotated to `x @ rotation`.
      codewords: `codewords[p]` are those of part `p` of the rotated vector.
    """

    rotation: Float[np.ndarray, 'dim dim']
    codewords: Float[np.ndarray, 'parts codewords width']

    def encode(self, vectors: Float[np.ndarray, 'items dim']) -> Int[np.ndarray, 'items parts']:
        """The nearest codeword of each part; the first of equals.

        Raises:
          ValueError: when the vectors have another width than those that were learned from, or are unfit.
        """
        vectors = check_vectors(vectors)
        if vectors.shape[1] != len(self.rotation):
            raise ValueError(
                f'vectors of width {vectors.shape[1]} cannot be coded by codebooks of width '
                f'{len(self.rotation)}: encode their text as that of the codebooks was'
            )
        return _nearest(_parts(vectors @ self.rotation, len(self.codewords)), self.codewords)

    def decode(self, codes: Int[np.ndarray, 'items parts']) -> Float[np.ndarray, 'items dim']:
        """The vectors that the codes stand for."""
        return _joined(self.codewords, codes) @ self.rotation.T


@dataclasses.dataclass(frozen=True)
class OptimizedProductQuantizer:
    """OPQ by alternating minimisation (Ge et al., CVPR 2013, 'non-parametric'), in numpy.

    Each iteration moves the codewords of every part by one of Lloyd's steps and then turns the vectors by the
    rotation that brings them nearest to their codewords (an orthogonal Procrustes problem). Neither can raise
    the distortion. VQ-Rec used faiss's `OPQ32,IVF1,PQ32x8`: 32 parts of 256 codewords.

    Attributes:
      parts: into how many parts of equal width a vector is cut; each gives one code.
      codewords: of each part.
      iterations: of the alternation; 0 leaves the balanced principal axes and k-means of each part.
      start_iterations: of k-means in each part before the alternation.
      sample_size: codebooks are fitted to at most so many vectors, drawn without replacement.
    """

    parts: int = 32
    codewords: int = 256
    iterations: int = 20
    start_iterations: int = 5
    sample_size: int = 65_536

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Codewords of each part."""
        return (self.codewords,) * self.parts

    @property
    def width_multiple(self) -> int:
        """What the vectors' width must be a multiple of."""
        return self.parts

    def at_most(self, codewords: int) -> 'OptimizedProductQuantizer':
        """The same with at most so many codewords a part."""
        return dataclasses.replace(self, codewords=min(self.codewords, codewords))

    def fit(
        self, vectors: Float[np.ndarray, 'items dim'], seed: int, progress: Progress | None = None
    ) -> tuple[ProductCodebooks, list[float]]:
        """Learns codebooks.

        Args:
          vectors: of the items that may be learned from; in the strict mode those of training alone.
          seed: of the sample and the start of k-means.
          progress: called after each iteration.

        Returns:
          The codebooks, and the share of the fitted vectors' variance that they lose before the first and
          after each iteration.

        Raises:
          ValueError: on unfit vectors, a width that the parts do not divide, or more codewords than distinct
            vectors in a part.
        """
        vectors = check_vectors(vectors, codewords=self.codewords)
        if vectors.shape[1] % self.parts:
            raise ValueError(
                f'vectors of width {vectors.shape[1]} cannot be cut into {self.parts} equal parts: choose '
                'OptimizedProductQuantizer.parts that divide the width, or another width of the encoder'
            )
        if len(vectors) > self.sample_size:
            drawn = np.random.default_rng(seed).choice(len(vectors), self.sample_size, replace=False)
            vectors = vectors[np.sort(drawn)]
        vectors = vectors.astype(np.float64)
        rotation = balanced_axes(vectors, self.parts)
        rotated = _parts(vectors @ rotation, self.parts)
        codewords = np.stack([self._start(part, number, seed) for number, part in enumerate(rotated)])
        variance = float(np.square(vectors - vectors.mean(axis=0)).sum()) or 1.0
        codes = _nearest(rotated, codewords)
        lost = [_distortion(rotated, codewords, codes) / variance]
        for iteration in range(self.iterations):
            codewords = _moved(rotated, codewords, codes)
            left, _, right = np.linalg.svd(vectors.T @ _joined(codewords, codes))
            rotation = left @ right
            rotated = _parts(vectors @ rotation, self.parts)
            codes = _nearest(rotated, codewords)
            lost.append(_distortion(rotated, codewords, codes) / variance)
            if progress is not None:
                progress(iteration + 1, self.iterations, {'relative_error': lost[-1]})
        return ProductCodebooks(rotation.astype(np.float32), codewords.astype(np.float32)), lost

    def quantize(
        self, vectors: Float[np.ndarray, 'items dim'], seed: int, progress: Progress | None = None
    ) -> Quantization:
        """Learns codebooks from the vectors and codes them; see `Quantizer.quantize`.

        The history holds `relative_error`, see `fit`.

        Raises:
          ValueError: as `fit`.
        """
        codebooks, lost = self.fit(vectors, seed, progress)
        codes = codebooks.encode(vectors)
        return Quantization(codes, self.codebook_sizes, codebooks.decode(codes), {'relative_error': lost})

    def _start(self, part: Float[np.ndarray, 'items width'], number: int, seed: int) -> np.ndarray:
        key = jax.random.fold_in(jax.random.key(seed), number)
        try:
            found = fit_kmeans(part.astype(np.float32), self.codewords, key, iterations=self.start_iterations)
        except ValueError as error:
            raise ValueError(f'part {number}: {error}') from error
        return found.astype(np.float64)


def balanced_axes(vectors: Float[np.ndarray, 'items dim'], parts: int) -> Float[np.ndarray, 'dim dim']:
    """Principal axes dealt out so that the parts' products of variances are alike (Ge et al., section 4.2).

    Without that, the first part of vectors from a truncated SVD would hold nearly all variance.
    """
    variances, axes = np.linalg.eigh(np.cov(vectors, rowvar=False, bias=True))
    least = max(variances.max() * LEAST_VARIANCE, np.finfo(np.float64).tiny)
    logarithms = np.log(np.maximum(variances, least))
    # All above 0: with variances below 1 the part that has most axes would have the
    # least product, and be given the next one too.
    logarithms += 1 - logarithms.min()
    width = len(axes) // parts
    members: list[list[int]] = [[] for _ in range(parts)]
    for axis in np.argsort(-variances, kind='stable'):
        open_parts = [number for number in range(parts) if len(members[number]) < width]
        chosen = min(open_parts, key=lambda number: (logarithms[members[number]].sum(), len(members[number])))
        members[chosen].append(int(axis))
    return axes[:, [axis for part in members for axis in part]]


def _parts(rotated: Float[np.ndarray, 'items dim'], parts: int) -> Float[np.ndarray, 'parts items width']:
    return np.moveaxis(rotated.reshape(len(rotated), parts, -1), 1, 0)


def _joined(
    codewords: Float[np.ndarray, 'parts codewords width'], codes: Int[np.ndarray, 'items parts']
) -> Float[np.ndarray, 'items dim']:
    picked = codewords[np.arange(len(codewords))[None, :], codes]
    return picked.reshape(len(codes), -1)


def _nearest(
    rotated: Float[np.ndarray, 'parts items width'], codewords: Float[np.ndarray, 'parts codewords width']
) -> Int[np.ndarray, 'items parts']:
    parts, items, _ = rotated.shape
    codes = np.empty((items, parts), np.int32)
    for number, (part, words) in enumerate(zip(rotated, codewords)):
        norms = np.square(words).sum(axis=1)[None, :]
        for start in range(0, items, ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            codes[rows, number] = np.argmin(norms - 2 * part[rows] @ words.T, axis=1)
    return codes


def _moved(
    rotated: Float[np.ndarray, 'parts items width'],
    codewords: Float[np.ndarray, 'parts codewords width'],
    codes: Int[np.ndarray, 'items parts'],
) -> Float[np.ndarray, 'parts codewords width']:
    """Each codeword at the mean of its vectors; one that has none stays, so that nothing gets worse."""
    moved = codewords.copy()
    for number, part in enumerate(rotated):
        counts = np.bincount(codes[:, number], minlength=codewords.shape[1])
        sums = np.zeros_like(codewords[number])
        np.add.at(sums, codes[:, number], part)
        used = counts > 0
        moved[number, used] = sums[used] / counts[used, None]
    return moved


def _distortion(
    rotated: Float[np.ndarray, 'parts items width'],
    codewords: Float[np.ndarray, 'parts codewords width'],
    codes: Int[np.ndarray, 'items parts'],
) -> float:
    """Sum of squared distances from the codewords."""
    return sum(
        float(np.square(part - words[codes[:, number]]).sum())
        for number, (part, words) in enumerate(zip(rotated, codewords))
    )
