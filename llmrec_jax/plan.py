"""Compiles a recipe's training and decoding step for devices one need not have, and says what they need.

    python -m llmrec_jax.plan --gin_file=gin_configs/tiger/amazon_beauty_384.gin --topology=v5e:4x4 \\
        --batch_sizes=256,1024 --meshes=16x1,8x2 --rules=standard,fsdp --remat=none,full

Asks for no corpus, no data and no TPU; for a TPU slice it needs libtpu (pip install 'llmrec_jax[plan]').
`--topology=here` plans for the devices of this machine. Nothing is written but the answer.
"""

import argparse
import dataclasses
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llmrec_jax import files
from llmrec_jax.planning.decoding_plan import check_decoding, plan_decoding
from llmrec_jax.planning.report import Price, Report
from llmrec_jax.planning.settings import Grid, Setting
from llmrec_jax.planning.tables import report_text
from llmrec_jax.planning.topology import open_topology
from llmrec_jax.planning.training_plan import check_training, plan_training
from llmrec_jax.planning.workload import DecodingSizes, Workload
from llmrec_jax.runs import gin_config
from llmrec_jax.runs.system import System
from llmrec_jax.training import platforms, xla_flags

LOG = logging.getLogger(__name__)
TRAINING, DECODING = 'training', 'decoding'


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the plan.

    Raises:
      SystemExit: with one message on standard error, when something asked for does not exist or does not fit
        together.
    """
    parser = _parser()
    flags, gin_arguments = gin_config.parse_arguments(
        parser, sys.argv[1:] if arguments is None else arguments
    )
    logging.basicConfig(level=logging.INFO, format='%(asctime)s %(message)s', datefmt='%H:%M:%S', force=True)
    for chatty in ('absl', 'jax'):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    platforms.leave_out_absent_tpu(os.environ)
    # The compiler's flags are part of what a run compiles.
    xla_flags.apply(os.environ)
    try:
        report = _plan(flags, gin_arguments)
        if flags.json:
            files.write_json(flags.json, report.json())
    except (ValueError, OSError) as error:
        if os.environ.get('LLMREC_JAX_TRACEBACK'):
            raise
        parser.exit(2, f'{parser.prog}: {error}\n')
    print(report_text(report))


def _plan(flags: argparse.Namespace, gin_arguments: gin_config.GinArguments) -> Report:
    if (flags.price_per_chip_hour is None) != (flags.examples is None):
        raise ValueError('--price_per_chip_hour and --examples are given together or not at all')
    if flags.json:
        files.check_local('--json', flags.json)
    price = Price(flags.price_per_chip_hour, flags.examples) if flags.examples is not None else None
    gin_config.load(gin_arguments, complete=False)
    workload = planned_workload(
        DecodingSizes(flags.items, flags.decode_batch_size, flags.beams, flags.text_width)
    )
    topology = open_topology(flags.topology)
    grid = Grid(
        flags.batch_sizes, flags.meshes, flags.rules, flags.optimizer_sharding, flags.remat, flags.dtypes
    )
    settings = grid.settings(workload, topology)
    decodes = flags.only == DECODING or (flags.only is None and workload.decoding is not None)
    for setting in settings:
        check_training(workload, setting, topology)
        if decodes:
            check_decoding(workload, setting)
    training = [
        _timed(plan_training, 'training step', number, len(settings), workload, setting, topology)
        for number, setting in enumerate(settings if flags.only != DECODING else [], 1)
    ]
    differing = {(setting.mesh, setting.rules, setting.dtype): setting for setting in settings}
    ways = list(differing.values()) if decodes else []
    decoding = [
        _timed(plan_decoding, 'decoding step', number, len(ways), workload, setting, topology)
        for number, setting in enumerate(ways, 1)
    ]
    return Report(workload, topology, training, decoding, price)


def planned_workload(sizes: DecodingSizes) -> Workload:
    """The workload of the system in gin's registry (see `gin_config.load`).

    Only what the system plans with is made, so that what a run would need besides, such as WORKDIR or
    CORPUS_DIR, may be left out.

    Args:
      sizes: what a corpus would say.

    Raises:
      ConfigurationError: when the gin files configure no system, or leave out a part that is planned.
      ValueError: when there is nothing to plan.
    """
    # What a run starts from is no part of its programs, and need not exist yet.
    gin_config.override('Trainer', 'initial_checkpoint', None)
    system = gin_config.configured(System)
    bound = gin_config.resolve(system.__name__, system.PLANNED)
    return system.workload({name: _part(system, bound, name) for name in system.PLANNED}, sizes)


def _part(system: type, bound: Mapping[str, Any], name: str) -> Any:
    """What the gin files bind to a field of the system, or its default."""
    field = {field.name: field for field in dataclasses.fields(system)}[name]
    if name in bound:
        return bound[name]
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    raise gin_config.ConfigurationError(
        f'{system.__name__}.{name} is required to plan, and the gin files do not bind it'
    )


def _timed(
    plan: Callable[..., Any], what: str, number: int, of: int, workload: Any, setting: Setting, topology: Any
) -> Any:
    started = time.monotonic()
    planned = plan(workload, setting, topology)
    LOG.info('%s %d of %d compiled in %.0f s', what, number, of, time.monotonic() - started)
    return planned


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='llmrec_jax.plan', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    gin_config.add_arguments(parser)
    add = parser.add_argument
    add('--topology', required=True, metavar='NAME', help="e.g. v5e:4x4, v5p:2x2x4, v6e:4x8, or 'here'")
    lists = "comma-separated; the recipe's own by default"
    add('--batch_sizes', type=_list_of(int), default=(), metavar='LIST', help=f'examples an update; {lists}')
    add('--meshes', type=_list_of(_mesh), default=(), metavar='LIST', help=f'data x model, e.g. 8x2; {lists}')
    add('--rules', type=_list_of(str), default=(), metavar='LIST', help=f'standard, fsdp; {lists}')
    add(
        '--optimizer_sharding',
        type=_list_of(str),
        default=(),
        metavar='LIST',
        help=f'parameters, data; {lists}',
    )
    add('--remat', type=_list_of(str), default=(), metavar='LIST', help=f'none, minimal, full; {lists}')
    add('--dtypes', type=_list_of(str), default=(), metavar='LIST', help=f'bfloat16, float32; {lists}')
    add('--only', choices=(TRAINING, DECODING), help='one of the two steps; both by default')
    add('--items', type=int, default=12101, help="the catalogue's size; 12101 by default")
    add(
        '--decode_batch_size',
        type=int,
        metavar='USERS',
        help="users answered at once; the recipe's by default",
    )
    add('--beams', type=int, default=4, help='beams of a text decoder; 4 by default')
    add(
        '--text_width',
        type=int,
        default=768,
        help="width of the vectors of the items' texts, where a network reads them; 768 by default",
    )
    add('--price_per_chip_hour', type=float, metavar='PRICE', help='for the cost of an epoch')
    add('--examples', type=int, metavar='NUMBER', help='of an epoch, for its cost')
    add('--json', metavar='FILE', help='where to write all figures as JSON')
    return parser


def _list_of(item: Callable[[str], Any]) -> Callable[[str], tuple[Any, ...]]:
    def parse(text: str) -> tuple[Any, ...]:
        return tuple(item(part) for part in text.split(',') if part)

    return parse


def _mesh(text: str) -> tuple[int, int]:
    data, _, model = text.partition('x')
    if not (data.isdigit() and model.isdigit()):
        raise argparse.ArgumentTypeError(f'{text!r} is no mesh; write data x model, e.g. 8x2')
    return int(data), int(model)


if __name__ == '__main__':
    main()
