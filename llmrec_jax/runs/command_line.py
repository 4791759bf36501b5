"""What the launchers share: flags, gin files, logging, and a system to work on."""

import argparse
import contextlib
import dataclasses
import json
import logging
import os
import pathlib
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

# TensorFlow reports its CPU kernels at import, before any logging of ours could be asked to keep quiet.
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

from llmrec_jax import files
from llmrec_jax.evaluation.results import RESULTS_FILE
from llmrec_jax.ownership.lock import beside, in_folder
from llmrec_jax.runs import (
    config_consistency,
    distributed,
    execution,
    gin_config,
    owned,
    shared_workdir,
    shutdown,
)
from llmrec_jax.runs.record import StageRecord
from llmrec_jax.runs.run import CONFIG, SYSTEM, Run
from llmrec_jax.runs.system import System
from llmrec_jax.training import compilation_cache, host_memory, platforms, processes, xla_flags

errors_as_messages = shutdown.errors_as_messages


def parse(
    description: str,
    arguments: Sequence[str] | None = None,
    add_flags: Callable[[argparse.ArgumentParser], None] = lambda parser: None,
    base: type = System,
    otherwise: Sequence[type] = (),
) -> tuple[argparse.Namespace, Any]:
    """Reads the command line and the gin files it names.

    Args:
      description: what the launcher does, for `--help`.
      arguments: instead of the command line's.
      add_flags: adds the launcher's own flags.
      base: the class that the gin files are to configure, or one derived from it.
      otherwise: what they may configure without any such class; the first where they configure none.

    Returns:
      The flags, and the system; its `checkpoint` is the flag's, where the launcher has one.

    Raises:
      SystemExit: with one message on standard error, when the configuration cannot be honoured.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    gin_config.add_arguments(parser)
    distributed.add_arguments(parser)
    add_flags(parser)
    given = sys.argv[1:] if arguments is None else arguments
    flags, gin_arguments = gin_config.parse_arguments(parser, given)
    log_to_stderr()
    platforms.leave_out_absent_tpu(os.environ)
    xla_flags.apply(os.environ)
    host_memory.keep(os.environ)
    with shutdown.guarded(parser.prog, code=2):
        distributed.initialize(flags)
    compilation_cache.enable(os.environ)
    # Of many processes the first speaks for all.
    logging.getLogger().setLevel(logging.INFO if processes.is_first() else logging.WARNING)
    with shutdown.guarded(parser.prog, code=2):
        loaded = gin_config.load(gin_arguments)
        wanted = next(filter(gin_config.configures, (base, *otherwise)), (*otherwise, base)[0])
        system = gin_config.instantiate(gin_config.configured(wanted), loaded)
        if wanted is base and getattr(flags, 'checkpoint', None) is not None:
            system = dataclasses.replace(system, checkpoint=flags.checkpoint)
        config_consistency.check(config_consistency.describe(flags, gin_config.operative_config()))
        return flags, system


def log_to_stderr() -> None:
    """Shows what this library says of its progress, and of others only what went wrong."""
    # `force`, because importing absl has already put a handler of its own in place.
    logging.basicConfig(level=logging.INFO, format='%(asctime)s %(message)s', datefmt='%H:%M:%S', force=True)
    for chatty in ('absl', 'jax', 'orbax', 'matplotlib'):
        logging.getLogger(chatty).setLevel(logging.ERROR)


def add_checkpoint_flag(parser: argparse.ArgumentParser) -> None:
    """Adds `--checkpoint`."""
    parser.add_argument(
        '--checkpoint',
        metavar='DIR',
        help="a folder checkpoint_<step>, ours or T5X's, local or gs://; by default the workdir's best",
    )


def add_go_on_flag(parser: argparse.ArgumentParser) -> None:
    """Adds `--go_on`."""
    parser.add_argument(
        '--go_on',
        action='store_true',
        help='train on from the checkpoints that another configuration left in the workdir, e.g. for more '
        'steps; batch size, seed, examples and network must be the same',
    )


def add_takeover_flag(parser: argparse.ArgumentParser) -> None:
    """Adds `--takeover`."""
    parser.add_argument(
        '--takeover',
        action='store_true',
        help='work where another process does, which ends; one that is dead needs no such flag',
    )


@contextlib.contextmanager
def owning_workdir(system: System, program: str, flags: argparse.Namespace) -> Iterator[None]:
    """Meanwhile the system's workdir is this run's alone.

    Args:
      system: what the gin files configure.
      program: the launcher.
      flags: the launcher's.

    Raises:
      InUseError: on process 0, when another run works there.
      ProcessError: on the others then.
    """
    root = system.run.root
    with _owning(in_folder(root), root, program, flags):
        yield


@contextlib.contextmanager
def owning_output(program: str, flags: argparse.Namespace) -> Iterator[None]:
    """`owning_workdir` for the launcher's `--output`; standard output is nobody's.

    Raises:
      ValueError: when it is a bucket's.
    """
    output = str(flags.output)
    if output == owned.STANDARD:
        yield
        return
    files.check_local('--output', output)
    with _owning(beside(output), output, program, flags):
        yield


@contextlib.contextmanager
def _owning(
    lock: pathlib.Path, named: str | os.PathLike, program: str, flags: argparse.Namespace
) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        processes.from_first(
            lambda: stack.enter_context(owned.owning(lock, named, program, takeover=flags.takeover))
        )
        yield


def run_stages(
    system: System, wanted: Collection[str] | None, *, go_on: bool = False
) -> tuple[Run, list[StageRecord]]:
    """Runs stages of a system in its workdir, and returns that and the records of all that are done.

    Args:
      system: what the gin files configure.
      wanted: names of the stages, or None for all.
      go_on: see `add_go_on_flag`.

    Raises:
      ValueError: when the workdir is a bucket's, which artifacts cannot be written to, or has the results of
        another system.
      ProcessError: when not all processes of the run share the workdir.
    """
    run, stages = Run(system.workdir, goes_on=go_on), system.stages()
    execution.check(run, stages, wanted)
    processes.from_first(lambda: _claim(run.root, system.name))
    shared_workdir.check(run.root)
    phases = {stage.phase for stage in stages if wanted is None or stage.name in wanted}
    measures_alone = phases == {'evaluate'}
    if not measures_alone:
        write_config(run.root)
    records = execution.execute(run, stages, wanted)
    if measures_alone:
        # Not before: a question that fails leaves the configuration of what was trained.
        write_config(run.root)
    return run, records


def _claim(root: pathlib.Path, name: str) -> None:
    """Keeps in the workdir which system it is of.

    Raises:
      ValueError: when it has the results of another one, which this one's would replace.
    """
    path = root / SYSTEM
    if path.is_file() and (root / RESULTS_FILE).is_file():
        owner = json.loads(files.read_text(path))['system']
        if owner != name:
            raise ValueError(
                f'{root} has the results of {owner}, which those of {name} would replace: '
                f'give another WORKDIR, or move {root / RESULTS_FILE} away'
            )
    files.write_json(path, {'system': name})


def write_config(root: pathlib.Path) -> None:
    """Keeps every value in force in the workdir, as a gin file that reproduces the run."""
    processes.from_first(lambda: files.write_bytes(root / CONFIG, gin_config.operative_config().encode()))


def split_names(text: str | None) -> list[str] | None:
    """'corpus,floors' as a list; None stays None."""
    return None if text is None else [name for name in text.split(',') if name]
