"""Lists seen code by code: which level goes wrong, and how often codes are right where the item is not.

Hits of the first codes alone are no hits of items: a model whose codes many items share scores high there
and recommends nothing in particular. They stand beside the item's so that the difference shows.
"""

from typing import Any

import numpy as np
from jaxtyping import Int

from llmrec_jax.evaluation.recommendations import ABSENT


def code_levels(
    items: Int[np.ndarray, 'cases listed'],
    targets: Int[np.ndarray, 'cases'],
    codes: Int[np.ndarray, 'items levels'],
    k: int,
) -> list[dict[str, Any]]:
    """How lists agree with the targets' codes, level by level.

    Args:
      items: listed, best first; -1 in absent slots.
      targets: what came next.
      codes: of all items.
      k: cut-off of the hits.

    Returns:
      A record a level: `level`; `hit`, the share of cases with an item among the first `k` that has the
      target's codes up to this level (at the last level it is recall@k); and of the first item of each list,
      `right_after_right`, the share whose code is the target's among those whose codes before are, and
      `right_after_wrong`, the share among the others. None where there are no such cases.
    """
    listed = items[:, :k]
    here = listed != ABSENT
    agrees = (codes[listed] == codes[targets][:, None, :]) & here[..., None]
    first, so_far = agrees[:, 0], np.ones(len(targets), bool)
    up_to = np.logical_and.accumulate(agrees, axis=-1).any(axis=1)
    records = []
    for level in range(codes.shape[1]):
        right = first[:, level]
        records.append(
            {
                'level': level,
                'hit': float(up_to[:, level].mean()),
                'right_after_right': _share(right[so_far]),
                'right_after_wrong': _share(right[~so_far]),
            }
        )
        so_far = so_far & right
    return records


def _share(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None
