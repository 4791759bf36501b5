"""Getting the files of a published data set, through TFDS's download manager."""

import dataclasses
import os
import shutil
from pathlib import Path

import tensorflow_datasets as tfds

from llmrec_jax.corpora.source import CorpusSource, DownloadableSource


def needs_download(source: CorpusSource) -> bool:
    """Whether the source reads published files and names no directory that holds them."""
    return isinstance(source, DownloadableSource) and source.manual_dir is None


def with_files(source: CorpusSource, manager: tfds.download.DownloadManager) -> CorpusSource:
    """`source` with its files at hand: itself, unless it needs a download.

    Downloads are kept under their published names in `<download_dir>/<kind of source>/`, where the next call
    finds them; a download that breaks off leaves nothing there.
    """
    if not needs_download(source):
        return source
    directory = Path(manager.download_dir) / source.name.split('/')[0]
    directory.mkdir(parents=True, exist_ok=True)
    missing = {name: url for name, url in source.urls().items() if not (directory / name).is_file()}
    for name, path in manager.download(missing).items():
        beside = directory / f'{name}.{os.getpid()}.part'
        shutil.copyfile(path, beside)
        os.replace(beside, directory / name)
    return dataclasses.replace(source, manual_dir=str(directory))
