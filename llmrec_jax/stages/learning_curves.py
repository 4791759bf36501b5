"""What training left of itself, step by step, for reports."""

import json
import pathlib

import numpy as np

from llmrec_jax.evaluation.report.report_data import Curve
from llmrec_jax.files import read_text
from llmrec_jax.training.early_stopping import BestMetric
from llmrec_jax.training.metrics_log import TRAINING_TIME, VALIDATION


def learning_curves(folder: pathlib.Path, best_metric: BestMetric) -> list[Curve]:
    """Loss and learning rate of training, and the metric of validation, by steps and by minutes.

    Minutes are of training's steps alone, without compilation of them, validation and checkpoints.

    Args:
      folder: that `Trainer.fit` trained in.
      best_metric: by which checkpoints were chosen.
    """
    curves = []
    best, minutes = 'high' if best_metric.mode == 'max' else 'low', _minutes(folder)
    for file, key, title, marked in (
        ('metrics.jsonl', 'loss', 'Training loss', 'low'),
        ('metrics.jsonl', 'learning_rate', 'Learning rate', None),
        (VALIDATION, best_metric.name, f'Validation {best_metric.name}', best),
    ):
        path = folder / file
        if not path.exists():
            continue
        rows = [row for row in map(json.loads, read_text(path).splitlines()) if key in row]
        if rows:
            curves.append(Curve(title, [row['step'] for row in rows], [row[key] for row in rows], marked))
            if file == VALIDATION:
                curves += _by_minutes(curves[-1], minutes)
    return curves


def _minutes(folder: pathlib.Path) -> dict[int, float]:
    """What training had taken by each checkpoint whose time is known."""
    path = folder / TRAINING_TIME
    if not path.exists():
        return {}
    rows = map(json.loads, read_text(path).splitlines())
    return {row['step']: row['training_seconds'] / 60 for row in rows if row['training_seconds'] is not None}


def _by_minutes(curve: Curve, minutes: dict[int, float]) -> list[Curve]:
    """The curve over minutes, as far as it is known when its steps were made; none where it is not."""
    steps = [0, *minutes]
    timed = [(step, value) for step, value in zip(curve.steps, curve.values) if step <= steps[-1]]
    if not minutes or not timed:
        return []
    at = np.interp([step for step, _ in timed], steps, [0.0, *minutes.values()])
    values = [value for _, value in timed]
    return [Curve(f'{curve.title}, by time', at.tolist(), values, curve.best, 'minute of training')]
