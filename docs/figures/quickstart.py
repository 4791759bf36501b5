"""Draws docs/_static/quickstart.svg from the table of results in docs/quickstart.md.

python docs/figures/quickstart.py
"""

import pathlib
import re

import matplotlib

matplotlib.use('svg')
import matplotlib.pyplot as plt

DOCS = pathlib.Path(__file__).resolve().parents[1]
PAGE = DOCS / 'quickstart.md'
FIGURE = DOCS / '_static' / 'quickstart.svg'
INTERVAL = re.compile(r'\.(\d+) to \.(\d+)')


def recalls(page: str) -> dict[str, str]:
    """Recall@10 of each system as the table writes it, in the table's order.

    Raises:
      ValueError: when the page has no table with a column 'Recall@10'.
    """
    rows = [
        [cell.replace('*', '').strip() for cell in line.strip('|').split('|')]
        for line in page.splitlines()
        if line.startswith('|')
    ]
    head = next((number for number, row in enumerate(rows) if 'Recall@10' in row), None)
    if head is None:
        raise ValueError(f'{PAGE} has no table with a column Recall@10')
    column = rows[head].index('Recall@10')
    return {row[0]: row[column] for row in rows[head + 2 :]}


def draw(figures: dict[str, str]) -> plt.Figure:
    """Bars of Recall@10, the ceiling as a line, and the interval where the table has one.

    Args:
      figures: what `recalls` gives; 'ceiling' is among the systems.
    """
    ceiling = figures['ceiling']
    bars = {name: text for name, text in figures.items() if name != 'ceiling'}
    figure, axes = plt.subplots(figsize=(6.4, 2.6), layout='constrained')
    for place, (name, text) in enumerate(bars.items()):
        value = text.split()[0]
        axes.barh(place, float(value), color='tab:blue' if name == 'TIGER' else 'tab:gray', height=0.65)
        right = float(value)
        if interval := INTERVAL.search(text):
            low, high = (float(f'.{digits}') for digits in interval.groups())
            axes.errorbar(right, place, xerr=[[right - low], [high - right]], color='black', capsize=3)
            right = high
        axes.text(right + 0.005, place, value, va='center')
    axes.axvline(float(ceiling), color='tab:red', linestyle='--')
    axes.text(float(ceiling) - 0.004, len(bars) - 0.6, f'ceiling {ceiling}', color='tab:red', ha='right')
    axes.set_yticks(range(len(bars)), bars)
    axes.invert_yaxis()
    axes.set_xlim(0, 0.4)
    axes.set_xlabel('Recall@10 on the simulated shop')
    axes.spines[['top', 'right']].set_visible(False)
    return figure


def main() -> None:
    """Writes the figure; the same table gives the same bytes."""
    plt.rcParams.update({'svg.fonttype': 'none', 'svg.hashsalt': 'llmrec_jax'})
    draw(recalls(PAGE.read_text(encoding='utf-8'))).savefig(FIGURE, metadata={'Date': None})


if __name__ == '__main__':
    main()
