r"""Makes a checkpoint of a folder of PEFT: low-rank adapters beside the checkpoint they adapt.

    python -m llmrec_jax.import_adapter --gin_file=checkpoints/flan_t5_base/network.gin \
        --base=checkpoints/flan_t5_base/checkpoint_0 --source=my_adapter --output=checkpoints/my_adapter

The gin file configures the network that is adapted. The checkpoint holds the adapters alone and says where
their base lies; with the network.gin that is written beside it, it is taken wherever a checkpoint is. Neither
torch, transformers nor peft is needed.
"""

import argparse
import pathlib
from collections.abc import Sequence

from llmrec_jax.runs import owned

PROGRAM = 'llmrec_jax.import_adapter'


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the checkpoint and the gin file of its network."""
    with owned.owning_output(PROGRAM, arguments):
        _import_adapter(arguments)


def _import_adapter(arguments: Sequence[str] | None) -> None:
    from llmrec_jax.inference.adapter_exchange import import_adapter
    from llmrec_jax.models.decoder_only.config import DecoderConfig
    from llmrec_jax.models.t5.config import T5Config
    from llmrec_jax.runs import command_line

    flags, config = command_line.parse(
        __doc__, arguments, _add_flags, base=T5Config, otherwise=(DecoderConfig,)
    )
    with command_line.errors_as_messages(PROGRAM), command_line.owning_output(PROGRAM, flags):
        import_adapter(flags.source, config, flags.base, flags.output)


def _add_flags(parser: argparse.ArgumentParser) -> None:
    from llmrec_jax.runs import command_line

    add = parser.add_argument
    add(
        '--source', required=True, type=pathlib.Path, metavar='DIR', help="a folder of PEFT's save_pretrained"
    )
    add('--base', required=True, metavar='DIR', help='the checkpoint that is adapted, local or gs://')
    add('--output', required=True, type=pathlib.Path, metavar='DIR', help='for checkpoint_0 and network.gin')
    command_line.add_takeover_flag(parser)


if __name__ == '__main__':
    main()
