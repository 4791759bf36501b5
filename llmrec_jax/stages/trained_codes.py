"""Which item codes checkpoints were trained on: told beside them, and compared before they answer.

Two code tables of the same sizes make networks of the same shapes, so that a checkpoint of either can be read
into both, and answers of the other are of wrong items.
"""

import json
import logging
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from llmrec_jax import files, stored_files
from llmrec_jax.semantic_ids.code_table import CodeTable
from llmrec_jax.training.checkpoint_layouts import CheckpointError
from llmrec_jax.training.checkpoints import saved_steps

LOG = logging.getLogger(__name__)
# Beside `checkpoint_<step>`, of which there may be several.
RECORD = 'code_table.json'


def note(checkpoints: str | os.PathLike, table: CodeTable) -> None:
    """Says beside checkpoints, written or to be written, what codes they are of.

    Args:
      checkpoints: the folder that holds them.
      table: the codes.

    Raises:
      CheckpointError: when there are checkpoints of other codes already, which training would go on from.
    """
    folder = pathlib.Path(checkpoints)
    for step in saved_steps(folder)[-1:]:
        check(folder / f'checkpoint_{step}', table, 'delete the folder to train anew, or use another workdir')
    files.write_json(folder / RECORD, _told(table))


def check(checkpoint: str | os.PathLike, table: CodeTable, mend: str) -> None:
    """Finds out whether a checkpoint is of these codes, where it says of which it is.

    T5X and earlier versions of this library say nothing; such a checkpoint is taken, and the log tells it.

    Args:
      checkpoint: a folder `checkpoint_<step>`, local or `gs://`.
      table: the codes that it is to be read for.
      mend: what to do when it is of others.

    Raises:
      CheckpointError: when it is of others.
    """
    where = f'{stored_files.absolute(checkpoint).rpartition("/")[0]}/{RECORD}'
    try:
        there = json.loads(stored_files.read_file(where))
    except FileNotFoundError:
        LOG.warning('%s does not say which item codes it was trained on: %s is not there', checkpoint, where)
        return
    here = _told(table)
    if there['fingerprint'] != here['fingerprint']:
        raise CheckpointError(
            f'{checkpoint} was trained on the code table {_short(there)}, and the one here is '
            f'{_short(here)}, so that its codes are of other items; {mend}'
        )


def _told(table: CodeTable) -> dict[str, Any]:
    return {
        'fingerprint': table.fingerprint,
        'items': table.n_items,
        'codebook_sizes': list(table.codebook_sizes),
    }


def _short(told: Mapping[str, Any]) -> str:
    sizes = ' x '.join(map(str, told['codebook_sizes']))
    return f'{told["fingerprint"][:12]} ({told["items"]} items, codebooks {sizes})'
