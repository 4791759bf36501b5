r"""Makes a Hugging Face folder of a trained T5, so that it serves wherever transformers reads.

    python -m llmrec_jax.export_weights --gin_file=runs/my_task/config.gin --output=exported/my_task
    python -m llmrec_jax.export_weights --gin_file=gin_configs/models/flan_t5_base.gin \
        --checkpoint=gs://…/checkpoint_1184000 --output=exported/flan_t5_base --vocabulary=spiece.model

The gin files configure a recipe, whose best checkpoint is taken where none is named, or a network alone. The
folder has config.json, generation_config.json, model.safetensors (several and their index above 5 GB) and,
where it is given, the vocabulary.
"""

import argparse
import pathlib
from collections.abc import Sequence

from llmrec_jax.launch import pipeline
from llmrec_jax.launch.fine_tuning import FineTuning
from llmrec_jax.launch.text_recipe import TextRecipe
from llmrec_jax.launch.text_workspace import TextWorkspace
from llmrec_jax.launch.weights_exchange import export_folder
from llmrec_jax.models.hf_weights.writing import DTYPES
from llmrec_jax.models.t5.config import T5Config
from llmrec_jax.runs import command_line
from llmrec_jax.text.vocabulary_sources import MODEL
from llmrec_jax.training.best_checkpoint import best_checkpoint


def _add_flags(parser: argparse.ArgumentParser) -> None:
    command_line.add_checkpoint_flag(parser)
    add = parser.add_argument
    add('--output', required=True, type=pathlib.Path, metavar='DIR', help='a new or an empty folder')
    add(
        '--vocabulary',
        type=pathlib.Path,
        metavar='FILE',
        help="SentencePiece model, put beside the weights; by default that of a text-to-text recipe's run",
    )
    add('--dtype', choices=DTYPES, default=DTYPES[0], help='that the weights are stored in')
    add(
        '--leave_out_extra',
        action='store_true',
        help="write a network without the parameters that Hugging Face's T5 lacks: without whole-word "
        'embeddings it answers as it does here without whole-word ids',
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the folder."""
    kinds = (*pipeline.KINDS, FineTuning)
    flags, found = command_line.parse(__doc__, arguments, _add_flags, kinds=kinds, otherwise=T5Config)
    with command_line.errors_as_messages('llmrec_jax.export_weights'):
        config, checkpoint, vocabulary = found, flags.checkpoint, flags.vocabulary
        if isinstance(found, kinds):
            config = found.model.module.config
            best = found.trainer.best_metric
            checkpoint = checkpoint or best_checkpoint(pathlib.Path(found.workdir), best)
        elif checkpoint is None:
            raise ValueError('the gin files configure a network and no run: name its --checkpoint')
        if vocabulary is None and isinstance(found, TextRecipe):
            vocabulary = TextWorkspace(found).vocabulary_dir / MODEL
        export_folder(
            config,
            checkpoint,
            flags.output,
            dtype=flags.dtype,
            spiece_model=vocabulary,
            leave_out_extra=flags.leave_out_extra,
        )


if __name__ == '__main__':
    main()
