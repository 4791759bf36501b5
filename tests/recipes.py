"""Recipes as tests load them, with something in the place of what their users give."""

import argparse
import json
import pathlib
import re

import numpy as np

from llmrec_jax.runs import gin_config
from llmrec_jax.runs.system import System
from llmrec_jax.training.columns import write_columns

CONFIGS = gin_config.REPOSITORY / 'gin_configs'


def load(file: str, *bindings: str, after: tuple[str, ...] = ()) -> System:
    """What a gin file configures.

    Args:
      file: e.g. 'gin_configs/tiger/smoke.gin'.
      bindings: 'NAME=value'; WORKDIR has a value already.
      after: further gin files.
    """
    parser = argparse.ArgumentParser()
    gin_config.add_arguments(parser)
    files = [f'--gin_file={name}' for name in (file, *after)]
    workdir = () if any(text.startswith('WORKDIR=') for text in bindings) else ('WORKDIR=runs/x',)
    flags = [*files, *(f'--gin.{text}' for text in (*workdir, *bindings))]
    _, arguments = gin_config.parse_arguments(parser, flags)
    loaded = gin_config.load(arguments)
    return gin_config.instantiate(gin_config.configured(System), loaded)


def load_with_stand_ins(file: str, folder: pathlib.Path, *bindings: str) -> System:
    """`load`, with a small corpus and the like for whatever the recipe requires."""
    given, after = list(bindings), []
    while True:
        try:
            return load(file, *given, after=tuple(after))
        except gin_config.ConfigurationError as error:
            required = re.match(r'(\w+) is required', str(error))
            if required is None:
                raise
            if required[1] == 'LANGUAGE_MODEL':
                after.append('gin_configs/overlays/language_models/stored.gin')
            else:
                given.append(f'{required[1]}={stand_in(required[1], folder)}')


def stand_in(macro: str, folder: pathlib.Path) -> str:
    """A value for a macro that users give.

    Raises:
      KeyError: for one that this knows nothing for.
    """
    if macro.endswith('DIR'):
        return str(sequence_files(folder))
    if macro == 'EXAMPLES':
        columns = {'inputs': [np.array([5, 6, 1])], 'targets': [np.array([7, 1])]}
        return repr(str(write_columns(folder / 'examples', columns, {}).directory))
    return {
        'INITIAL_CHECKPOINT': 'None',
        'VOCABULARY_MODEL': "'spiece.model'",
        'STORED_MODEL': "'stored'",
    }[macro]


def sequence_files(folder: pathlib.Path) -> pathlib.Path:
    """A directory of sequence files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'sequential.txt').write_text('1 1 2 3\n2 2 3 1\n')
    items = [
        {'id': n, 'asin': f'A{n}', 'title': f'Thing {n}', 'brand': None, 'categories': [['All']]}
        for n in (1, 2, 3)
    ]
    (folder / 'items.jsonl').write_text('\n'.join(map(json.dumps, items)))
    return folder


def recipes(folder: pathlib.Path) -> list[pathlib.Path]:
    """What lies in the folders of systems, as gin_configs/README.md has it, but for `base.gin`."""
    others = ('models', 'runs', 'overlays', 'parts')
    return sorted(
        path for path in folder.glob('*/*.gin') if path.parent.name not in others and path.name != 'base.gin'
    )
