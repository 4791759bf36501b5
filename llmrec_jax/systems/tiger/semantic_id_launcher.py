"""The launcher behind `python -m llmrec_jax.semantic_ids`."""

import argparse
import json
import logging
from collections.abc import Sequence

from llmrec_jax import files
from llmrec_jax.runs import command_line
from llmrec_jax.runs.run import Run
from llmrec_jax.semantic_ids.diagnostics import compare_quantizers
from llmrec_jax.semantic_ids.quantization import Quantizer
from llmrec_jax.semantic_ids.residual_kmeans import ResidualKMeans
from llmrec_jax.semantic_ids.rq_vae.quantizer import RqVae
from llmrec_jax.semantic_ids.untrained_quantizers import Lsh, RandomCodes
from llmrec_jax.stages.item_vectors import ITEM_VECTORS
from llmrec_jax.stages.semantic_ids import CODE_TABLE, PICTURES, SEMANTIC_ID_FACTS
from llmrec_jax.systems.tiger.system import Tiger
from llmrec_jax.training import processes

LOG = logging.getLogger(__name__)
PROGRAM = 'llmrec_jax.semantic_ids'
NEEDED = ('corpus', 'item_vectors', 'semantic_ids')


def _add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--compare', action='store_true', help='also compare all four quantizers over the same vectors'
    )
    command_line.add_takeover_flag(parser)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the stages up to the code table."""
    flags, system = command_line.parse(
        'Learns the semantic IDs of a recipe, and shows how good they are.', arguments, _add_flags, Tiger
    )
    with command_line.errors_as_messages(PROGRAM), command_line.owning_workdir(system, PROGRAM, flags):
        run, _ = command_line.run_stages(system, NEEDED)
        for name, value in run[SEMANTIC_ID_FACTS]['diagnostics'].items():
            LOG.info('%s: %s', name, json.dumps(value))
        LOG.info('code table: %s', run.path(CODE_TABLE))
        LOG.info('pictures and neighbours: %s', run.path(PICTURES))
        if flags.compare:
            processes.from_first(lambda: _compare(system, run))


def _compare(system: Tiger, run: Run) -> None:
    sizes = tuple(run[SEMANTIC_ID_FACTS]['diagnostics']['codebook_sizes'])
    quantizers: dict[str, Quantizer] = {
        'rq_vae': RqVae(codebook_sizes=sizes),
        'residual_kmeans': ResidualKMeans(codebook_sizes=sizes),
        'lsh': Lsh(),
        'random': RandomCodes(codebook_sizes=sizes),
    }
    # The recipe's own settings stand in for the defaults of its kind.
    for name, quantizer in quantizers.items():
        if type(quantizer) is type(system.quantizer):
            quantizers[name] = system.quantizer
    rows = compare_quantizers(quantizers, run[ITEM_VECTORS], system.semantic_id_seed)
    files.write_json(run.path(PICTURES) / 'comparison.json', rows)
    columns = list(rows[0])
    LOG.info('  '.join(columns))
    for row in rows:
        LOG.info('  '.join(_cell(row[column]) for column in columns))


def _cell(value: object) -> str:
    return f'{value:.4f}' if isinstance(value, float) else str(value)
