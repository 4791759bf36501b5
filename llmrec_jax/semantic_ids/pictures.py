"""Pictures of a set of semantic IDs, as PNG bytes."""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from sklearn.decomposition import PCA

from llmrec_jax.semantic_ids.quantization import Quantization
from llmrec_jax.subsets import draw_rows

DOTS_PER_INCH = 110


def draw(quantization: Quantization, vectors: Float[np.ndarray, 'items dim']) -> dict[str, bytes]:
    """Every picture that the quantization has, by name."""
    pictures = {
        'codebook_usage': usage_histogram(quantization.codes, quantization.codebook_sizes),
        'first_codes': first_code_scatter(vectors, quantization.codes),
    }
    if quantization.history:
        pictures['learning_curves'] = learning_curves(quantization.history)
    return pictures


def usage_histogram(codes: Int[np.ndarray, 'items levels'], codebook_sizes: tuple[int, ...]) -> bytes:
    """Items a codeword at each level, from the most used codeword: flat is even, a cliff is collapse."""
    figure = Figure(figsize=(3.6 * len(codebook_sizes), 2.8), layout='constrained')
    axes = figure.subplots(1, len(codebook_sizes), squeeze=False)[0]
    for level, (axis, size) in enumerate(zip(axes, codebook_sizes, strict=True)):
        counts = np.sort(np.bincount(codes[:, level], minlength=size))[::-1]
        axis.bar(np.arange(size), counts, width=1.0)
        axis.axhline(len(codes) / size, color='black', linewidth=0.8, linestyle='--')
        axis.set_title(f'level {level}: {(counts > 0).mean():.0%} of {size} in use')
        axis.set_xlabel('codeword, by rank')
        axis.set_ylabel('items')
    return _png(figure)


def first_code_scatter(
    vectors: Float[np.ndarray, 'items dim'],
    codes: Int[np.ndarray, 'items levels'],
    *,
    max_items: int = 5000,
    seed: int = 0,
) -> bytes:
    """The vectors' first two principal components, coloured by the first code."""
    rows = draw_rows(len(vectors), max_items, seed)
    plane = PCA(n_components=2, random_state=seed).fit_transform(vectors[rows])
    figure = Figure(figsize=(5.2, 4.6), layout='constrained')
    axis = figure.subplots()
    # Neighbouring code numbers mean nothing, so the colours of a cyclic map are dealt out at random.
    colours = np.random.default_rng(seed).permutation(int(codes[:, 0].max()) + 1)[codes[rows, 0]]
    axis.scatter(plane[:, 0], plane[:, 1], c=colours, cmap='hsv', s=6, linewidths=0, alpha=0.7)
    axis.set_title(f'{len(rows)} items, coloured by their first code')
    axis.set_xlabel('first principal component')
    axis.set_ylabel('second principal component')
    return _png(figure)


def learning_curves(history: Mapping[str, Sequence[float]]) -> bytes:
    """Each figure of a quantizer's history over the rounds; the levels' usages share one panel.

    Raises:
      ValueError: if the history is empty: hashed and random codes have none.
    """
    if not history:
        raise ValueError('nothing was trained: the history is empty')
    panels: dict[str, list[str]] = {}
    for name in history:
        panels.setdefault('usage' if name.startswith('usage_') else name, []).append(name)
    figure = Figure(figsize=(3.6 * len(panels), 2.8), layout='constrained')
    for axis, (panel, names) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
    ):
        for name in names:
            axis.plot(np.arange(1, len(history[name]) + 1), history[name], label=name, marker='.')
        axis.set_title(panel)
        axis.set_xlabel('round')
        if len(names) > 1:
            axis.legend()
    return _png(figure)


def _png(figure: Figure) -> bytes:
    # The canvas is chosen here, not through pyplot, whose backend and open figures are global state.
    content = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(content, format='png', dpi=DOTS_PER_INCH)
    return content.getvalue()
