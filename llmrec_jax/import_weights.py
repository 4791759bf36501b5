r"""Makes a checkpoint of weights in a Hugging Face folder: T5, T5 1.1, Flan-T5, LLaMA, Qwen or Gemma.

    python -m llmrec_jax.import_weights --source=flan-t5-base --output=checkpoints/flan_t5_base
    python -m llmrec_jax.train --gin_file=gin_configs/flan_t5/finetune.gin \
        --gin_file=checkpoints/flan_t5_base/network.gin --gin.WORKDIR=runs/my_task \
        --gin.EXAMPLES=data/my_task/train --gin.INITIAL_CHECKPOINT=checkpoints/flan_t5_base/checkpoint_0

The source holds config.json and model.safetensors, or several safetensors and their index; neither torch nor
transformers is needed. It may be a GGUF file of a LLaMA, Qwen or Gemma too, which the package gguf reads.
Parameters are float32 in the checkpoint, and all are held in memory meanwhile.
"""

import argparse
import pathlib
from collections.abc import Sequence

from llmrec_jax.runs import owned

PROGRAM = 'llmrec_jax.import_weights'


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the checkpoint and the gin file of its network."""
    with owned.owning_output(PROGRAM, arguments):
        _import_weights(arguments)


def _import_weights(arguments: Sequence[str] | None) -> None:
    from llmrec_jax.inference.weights_exchange import import_folder
    from llmrec_jax.runs import command_line

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        '--source',
        required=True,
        type=pathlib.Path,
        metavar='DIR',
        help='a Hugging Face folder, or a GGUF file',
    )
    add('--output', required=True, type=pathlib.Path, metavar='DIR', help='for checkpoint_0 and network.gin')
    command_line.add_takeover_flag(parser)
    flags = parser.parse_args(arguments)
    command_line.log_to_stderr()
    with command_line.errors_as_messages(PROGRAM), command_line.owning_output(PROGRAM, flags):
        import_folder(flags.source, flags.output)


if __name__ == '__main__':
    main()
