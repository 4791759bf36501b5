r"""Looks at a corpus before anything is trained on it, and writes its data card.

    python -m llmrec_jax.corpus --interactions=ratings.csv --items=movies.csv --output=data_cards/ratings
    python -m llmrec_jax.corpus --gin_file=gin_configs/sasrec/movielens_1m.gin --gin.MANUAL_DIR=downloads

The gin files are a recipe, of which only the corpus is made, or bind a corpus alone; `--interactions` needs
none. The folder gets data_card.html, data_card.json, and corpus.gin, which gives this corpus to any recipe.
"""

import argparse
import logging
import pathlib
import sys
from collections.abc import Sequence

from llmrec_jax.corpora.corpus import Corpus
from llmrec_jax.corpora.source import CorpusSource, DownloadableSource
from llmrec_jax.evaluation.data_card.card import data_card
from llmrec_jax.evaluation.data_card.page import HTML, write_card
from llmrec_jax.runs import command_line, corpus_binding, gin_config, shutdown

LOG = logging.getLogger(__name__)
TABLES = 'gin_configs/parts/corpora/tables.gin'


def main(arguments: Sequence[str] | None = None) -> None:
    """Builds the corpus and writes its card."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    tables = _tables_parser()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, parents=[tables]
    )
    gin_config.add_arguments(parser)
    parser.add_argument(
        '--output',
        type=pathlib.Path,
        metavar='DIR',
        help="where the card goes; by default data_cards/ and the corpus's name",
    )
    named, others = tables.parse_known_args(given)
    flags, gin_arguments = gin_config.parse_arguments(parser, [*given, *_of_tables(parser, named, others)])
    command_line.log_to_stderr()
    with shutdown.guarded(parser.prog, code=2):
        gin_config.load(gin_arguments, complete=False, asked=(corpus_binding.MACRO,))
        source = corpus_binding.bound_source()
    with command_line.errors_as_messages('llmrec_jax.corpus'):
        output = flags.output or pathlib.Path('data_cards') / source.name
        card = data_card(_built(source, output), corpus_binding.overlay(source))
        write_card(card, output)
        LOG.info('%s: %s', source.name, output / HTML)


def _tables_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    add = parser.add_argument
    add('--interactions', metavar='PATH', help='a table of events, a file or a folder, instead of gin files')
    add('--items', metavar='PATH', help='a table of items, with --interactions')
    add('--users', metavar='PATH', help='a table of users, with --interactions')
    return parser


def _of_tables(
    parser: argparse.ArgumentParser, named: argparse.Namespace, others: Sequence[str]
) -> list[str]:
    """The gin file and the bindings that the flags of tables stand for."""
    if named.interactions is None:
        if named.items or named.users:
            parser.error('--items and --users go with --interactions')
        if not any(word.startswith(('--gin_file', '-h', '--help')) for word in others):
            parser.error('give --interactions=PATH of a table of events, or a recipe as --gin_file=FILE')
        return []
    if any(word.startswith('--gin_file') for word in others):
        parser.error(
            f'--interactions stands in the place of --gin_file; with gin files, give --gin_file={TABLES} and '
            '--gin.INTERACTIONS=PATH'
        )
    paths = {'INTERACTIONS': named.interactions, 'ITEMS': named.items, 'USERS': named.users}
    return [f'--gin_file={TABLES}', *(f'--gin.{name}={path!r}' for name, path in paths.items() if path)]


def _built(source: CorpusSource, output: pathlib.Path) -> Corpus:
    if isinstance(source, DownloadableSource) and source.manual_dir is None:
        # Imports TensorFlow, whose download manager fetches the files.
        import tensorflow_datasets as tfds

        from llmrec_jax.corpora.tfds_configs import with_files

        source = with_files(source, tfds.download.DownloadManager(download_dir=output / 'downloads'))
    return source.build()


if __name__ == '__main__':
    main()
