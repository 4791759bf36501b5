"""Says what of the installation is missing or other than tested, and the command that mends it.

    python -m llmrec_jax.check_install [--t5x] [--tpu] [--gpu]

Ends with 1 where something is missing that every run needs, or that a flag asks for. Without flags it imports
nothing, so it works where an import would fail.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from llmrec_jax.installation import devices, packages, t5x
from llmrec_jax.installation.finding import Verdict, table


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table and returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--t5x', action='store_true', help='require T5X, and import it')
    parser.add_argument('--tpu', action='store_true', help='require TPUs that JAX sees')
    parser.add_argument('--gpu', action='store_true', help='require GPUs that JAX sees')
    flags = parser.parse_args(arguments)
    findings = [
        packages.check_python(),
        *packages.check_packages(),
        *packages.check_scann(),
        *packages.check_protobuf(),
        *packages.check_tfds(),
        *packages.check_bytecode(),
        *t5x.check(flags.t5x),
        *devices.check_tpu(flags.tpu),
        *devices.check_gpu(flags.gpu),
    ]
    print(table(findings))
    return int(any(one.verdict is Verdict.FAULT for one in findings))


if __name__ == '__main__':
    sys.exit(main())
