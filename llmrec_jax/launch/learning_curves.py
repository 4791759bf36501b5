"""What training left of itself, step by step, for reports."""

import json

from llmrec_jax.evaluation.report.report_data import Curve
from llmrec_jax.launch.run_folder import RunFolder


def learning_curves(workspace: RunFolder) -> list[Curve]:
    """Loss and learning rate of training, and the metric of validation."""
    curves = []
    metric = workspace.recipe.trainer.best_metric
    for file, key, title, best in (
        ('metrics.jsonl', 'loss', 'Training loss', 'low'),
        ('metrics.jsonl', 'learning_rate', 'Learning rate', None),
        (
            'validation.jsonl',
            metric.name,
            f'Validation {metric.name}',
            'high' if metric.mode == 'max' else 'low',
        ),
    ):
        path = workspace.root / file
        if not path.exists():
            continue
        rows = [row for row in map(json.loads, path.read_text().splitlines()) if key in row]
        if rows:
            curves.append(Curve(title, [row['step'] for row in rows], [row[key] for row in rows], best))
    return curves
