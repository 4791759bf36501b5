r"""Makes a Hugging Face folder of a trained T5, LLaMA, Qwen or Gemma, for wherever transformers reads.

    python -m llmrec_jax.export_weights --gin_file=runs/my_task/config.gin --output=exported/my_task
    python -m llmrec_jax.export_weights --gin_file=gin_configs/models/flan_t5_base.gin \
        --checkpoint=gs://.../checkpoint_1184000 --output=exported/flan_t5_base --vocabulary=spiece.model

The gin files configure a recipe, whose best checkpoint is taken where none is named, or a network alone. The
folder has config.json, generation_config.json, model.safetensors (several and their index above 5 GB) and the
vocabulary: the run's own, or the one that is named. transformers' `AutoTokenizer` reads it and gives the ids
that SentencePiece gives; that is compared on sample texts first, and nothing is written where it is not so.
"""

import argparse
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llmrec_jax.runs import owned

if TYPE_CHECKING:
    from llmrec_jax.models.hf_weights.layout import Config
    from llmrec_jax.runs.system import System
    from llmrec_jax.text.text_vocabulary import TextVocabulary

PROGRAM = 'llmrec_jax.export_weights'


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the folder."""
    with owned.owning_output(PROGRAM, arguments):
        _export_weights(arguments)


def _export_weights(arguments: Sequence[str] | None) -> None:
    from llmrec_jax.inference.weights_exchange import export_folder
    from llmrec_jax.models.decoder_only.config import DecoderConfig
    from llmrec_jax.models.t5.config import T5Config
    from llmrec_jax.runs import command_line
    from llmrec_jax.runs.system import System
    from llmrec_jax.text.text_vocabulary import TextVocabulary

    flags, found = command_line.parse(__doc__, arguments, _add_flags, otherwise=(T5Config, DecoderConfig))
    with command_line.errors_as_messages(PROGRAM), command_line.owning_output(PROGRAM, flags):
        if isinstance(found, System):
            exported = of_system(found, own_vocabulary=flags.vocabulary is None)
        elif flags.checkpoint is None:
            raise ValueError('the gin files configure a network and no run: name its --checkpoint')
        else:
            exported = (found, flags.checkpoint, None)
        config, checkpoint, vocabulary = exported
        if flags.vocabulary is not None:
            vocabulary = TextVocabulary.load(flags.vocabulary, flags.extra_ids)
        export_folder(
            config,
            checkpoint,
            flags.output,
            dtype=flags.dtype,
            vocabulary=vocabulary,
            leave_out_extra=flags.leave_out_extra,
        )


def _add_flags(parser: argparse.ArgumentParser) -> None:
    from llmrec_jax.models.hf_weights.writing import DTYPES
    from llmrec_jax.runs import command_line

    command_line.add_checkpoint_flag(parser)
    command_line.add_takeover_flag(parser)
    add = parser.add_argument
    add('--output', required=True, type=pathlib.Path, metavar='DIR', help='a new or an empty folder')
    add(
        '--vocabulary',
        metavar='FILE',
        help="SentencePiece model, local or gs://, put beside the weights; by default the run's own",
    )
    add('--extra_ids', type=int, default=100, help='of --vocabulary; 100 by default, as T5 has')
    add('--dtype', choices=DTYPES, default=DTYPES[0], help='that the weights are stored in')
    add(
        '--leave_out_extra',
        action='store_true',
        help="write a network without the parameters that Hugging Face's lacks: a T5 without whole-word "
        'embeddings it answers as it does here without whole-word ids',
    )


def of_system(
    system: 'System', *, own_vocabulary: bool = True
) -> tuple['Config', Any, 'TextVocabulary | None']:
    """The network of a system's run, its checkpoint, and the vocabulary of its texts.

    Args:
      system: what the gin files configure.
      own_vocabulary: whether the run's vocabulary is wanted.

    Raises:
      ValueError: when the model does not write token by token.
      FileNotFoundError: when the run has not made what is asked for.
    """
    from llmrec_jax.models.generative_model import GenerativeModel

    run = system.run
    model = system.model(run)
    if not isinstance(model, GenerativeModel):
        kind = 'no model' if model is None else f'a {type(model).__name__}'
        raise ValueError(
            f'{system.name} trains {kind}: there is nothing to export, for a folder of Hugging Face holds an '
            'EncoderDecoderModel or a DecoderOnlyModel'
        )
    vocabulary = system.vocabulary(run) if own_vocabulary else None
    return model.module.config, system.trained_checkpoint(run), vocabulary


if __name__ == '__main__':
    main()
