r"""Runs a SeqIO task or mixture once and keeps its examples, so that training needs no TensorFlow.

    python -m llmrec_jax.materialise --module=my_tasks --task=my_task --split=train \
        --output=data/my_task/train --feature_lengths inputs=512 targets=64 --packing
    python -m llmrec_jax.materialise --gin_file=gin_configs/tiger/quickstart.gin \
        --gin.WORKDIR=runs/quickstart --split=train --output=data/tiger/train --keep user target_item

The first form takes the task from SeqIO's registry, which the named modules fill when they are imported; the
second takes the gin file's own. What is written is a column store: see `llmrec_jax/training/columns.py`. An
output that is there already is replaced once the new one is whole.
"""

import argparse
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from llmrec_jax.runs import owned

LOG = logging.getLogger(__name__)
SECONDS_BETWEEN_LINES = 10.0
DEFAULT_SHARDS = 16
PROGRAM = 'llmrec_jax.materialise'


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the examples, and says how many there are and how little of them is padding."""
    with owned.owning_output(PROGRAM, arguments):
        _materialise(sys.argv[1:] if arguments is None else arguments)


def _materialise(arguments: Sequence[str]) -> None:
    from llmrec_jax.inference.task_modules import registered
    from llmrec_jax.runs import command_line, gin_config
    from llmrec_jax.runs.system import System

    flags, gin_arguments = _parse(arguments)
    with command_line.errors_as_messages(PROGRAM), command_line.owning_output(PROGRAM, flags):
        lengths = _feature_lengths(flags.feature_lengths)
        provenance = {}
        if gin_arguments:
            loaded = gin_config.load(gin_arguments)
            system: System = gin_config.instantiate(gin_config.configured(System), loaded)
            engine = system.engine_task(system.run)
            if engine is None:
                raise ValueError(f'a {system.name} recipe has no task of its own: give a --task')
            provenance, name = engine.provenance, engine.trained
            lengths = {**engine.feature_lengths, **lengths}
        else:
            name = registered(flags.task, flags.module)
        _write(name, flags, lengths or None, provenance)


def _write(
    name: str, flags: argparse.Namespace, lengths: Mapping[str, int] | None, provenance: Mapping[str, str]
) -> None:
    from llmrec_jax.stages.materialise import materialise, padding_free

    started = shown = time.monotonic()

    def progress(examples: int) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown >= SECONDS_BETWEEN_LINES:
            shown = now
            LOG.info('%d examples, %.0f a second', examples, examples / (now - started))

    store = materialise(
        name,
        flags.split,
        flags.output,
        feature_lengths=lengths,
        kept=flags.keep,
        provenance=provenance,
        num_shards=flags.num_shards,
        seed=flags.seed,
        epochs=flags.epochs,
        examples=flags.examples,
        packing=flags.packing,
        progress=progress,
    )
    LOG.info(
        '%s: %d examples in %d rows, %d shards, %.1f MB, fingerprint %s',
        store.directory,
        store.manifest['provenance']['examples'],
        len(store),
        flags.num_shards,
        store.size_bytes / 1e6,
        store.fingerprint[:12],
    )
    for feature, share in padding_free(store, lengths or {}).items():
        LOG.info('%s: %.1f %% of %d tokens a row are no padding', feature, 100 * share, lengths[feature])


def _parse(arguments: Sequence[str]) -> tuple[argparse.Namespace, Any]:
    """The flags, and what they say of gin; None where they name no gin file."""
    from llmrec_jax.runs import command_line, gin_config

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    gin_config.add_arguments(parser)
    parser.add_argument('--task', help='name in the registry of tasks or mixtures')
    parser.add_argument(
        '--module', action='append', default=[], help='is imported first; may be given several times'
    )
    parser.add_argument('--split', required=True, help="e.g. 'train'")
    parser.add_argument('--output', required=True, help='folder that receives the examples')
    parser.add_argument(
        '--feature_lengths',
        nargs='+',
        default=[],
        metavar='FEATURE=TOKENS',
        help="trims examples; a gin file's task has its own",
    )
    parser.add_argument(
        '--keep', nargs='+', default=[], metavar='FIELD', help="integer fields beside the task's features"
    )
    parser.add_argument('--num_shards', type=int, default=DEFAULT_SHARDS)
    parser.add_argument(
        '--packing', action='store_true', help='several short examples a row of the feature lengths'
    )
    parser.add_argument('--seed', type=int, default=0, help="of random preprocessors and a mixture's draws")
    parser.add_argument('--epochs', type=int, default=1, help='for tasks that draw anew every time')
    parser.add_argument(
        '--examples',
        type=int,
        help="how many, by a mixture's rates if it is one; all of a task where it is left out",
    )
    command_line.add_takeover_flag(parser)
    if any(argument.split('=')[0] == '--gin_file' for argument in arguments):
        flags, gin_arguments = gin_config.parse_arguments(parser, arguments)
    else:
        flags, gin_arguments = parser.parse_args(arguments), None
    if (flags.task is None) == (gin_arguments is None):
        parser.error('give a --task, or a --gin_file that has its own')
    for name in ('num_shards', 'epochs', 'examples'):
        if getattr(flags, name) is not None and getattr(flags, name) < 1:
            parser.error(f'--{name}={getattr(flags, name)} must be at least 1')
    command_line.log_to_stderr()
    return flags, gin_arguments


def _feature_lengths(pairs: Sequence[str]) -> dict[str, int]:
    lengths = {}
    for pair in pairs:
        name, _, tokens = pair.partition('=')
        if not tokens.isdecimal() or not int(tokens):
            raise ValueError(f'--feature_lengths {pair!r}: write FEATURE=TOKENS, e.g. inputs=512')
        lengths[name] = int(tokens)
    return lengths


if __name__ == '__main__':
    main()
