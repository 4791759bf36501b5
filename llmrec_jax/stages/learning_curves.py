"""What training left of itself, step by step, for reports."""

import json
import pathlib

from llmrec_jax.evaluation.report.report_data import Curve
from llmrec_jax.files import read_text
from llmrec_jax.training.early_stopping import BestMetric


def learning_curves(folder: pathlib.Path, best_metric: BestMetric) -> list[Curve]:
    """Loss and learning rate of training, and the metric of validation.

    Args:
      folder: that `Trainer.fit` trained in.
      best_metric: by which checkpoints were chosen.
    """
    curves = []
    best = 'high' if best_metric.mode == 'max' else 'low'
    for file, key, title, marked in (
        ('metrics.jsonl', 'loss', 'Training loss', 'low'),
        ('metrics.jsonl', 'learning_rate', 'Learning rate', None),
        ('validation.jsonl', best_metric.name, f'Validation {best_metric.name}', best),
    ):
        path = folder / file
        if not path.exists():
            continue
        rows = [row for row in map(json.loads, read_text(path).splitlines()) if key in row]
        if rows:
            curves.append(Curve(title, [row['step'] for row in rows], [row[key] for row in rows], marked))
    return curves
