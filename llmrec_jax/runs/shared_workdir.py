"""Whether all processes of a run see the same workdir."""

import pathlib
import uuid

from llmrec_jax.training import processes


def check(root: pathlib.Path) -> None:
    """Leaves a file on process 0 and looks for it on the others.

    Raises:
      ProcessError: when one does not see it, before anything is computed.
    """
    if processes.count() == 1:
        return
    token = root / processes.from_first(lambda: f'.shared-{uuid.uuid4().hex}')
    try:
        processes.from_first(lambda: token.touch())
        processes.check_visible(token)
        processes.from_all(None)
    finally:
        if processes.is_first():
            token.unlink(missing_ok=True)
