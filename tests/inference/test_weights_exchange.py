"""Weights go from a Hugging Face folder into a checkpoint and back, as users take them there."""

import dataclasses
import json
import os
import subprocess
import sys

import jax
import numpy as np
import pytest
import tokenizers
from flax import traverse_util

from llmrec_jax import export_weights, import_weights
from llmrec_jax.inference.weights_exchange import export_folder
from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.hf_weights import load_hf, write_hf
from llmrec_jax.models.hf_weights.names import parameter_shapes
from llmrec_jax.models.t5 import Transformer
from llmrec_jax.runs.gin_config import REPOSITORY
from llmrec_jax.runs.record import StageRecord
from llmrec_jax.runs.system import System
from llmrec_jax.text.hf_tokenizer import tokenizer_files
from llmrec_jax.text.text_vocabulary import TextVocabulary
from llmrec_jax.training.checkpoint_layouts import CheckpointError
from llmrec_jax.training.checkpoints import Checkpoints
from llmrec_jax.training.parameter_restore import load_params
from llmrec_jax.training.train_state import TrainState
from tests.small_t5 import GATED, TIED, random_params, readers
from tests.text.vocabularies import sentencepiece_model
from tests.training.t5x_files import write_t5x

EXTRA_IDS = 4


def small_model():
    """A unigram vocabulary that a network of 32 tokens has room for."""
    texts = [f'ab abba baab {number} ab' for number in range(100)]
    return sentencepiece_model(texts, 20, model_type='unigram', hard_vocab_limit=False)


@pytest.fixture(scope='module')
def hf_folder(tmp_path_factory):
    """A network in several files with a vocabulary."""
    folder = tmp_path_factory.mktemp('hf')
    vocabulary = TextVocabulary(str(folder / 'words.model'), small_model(), EXTRA_IDS)
    beside = tokenizer_files(vocabulary)
    return write_hf(folder / 'tiny', GATED, readers(random_params()), file_bytes=4000, beside=beside)


@pytest.fixture(scope='module')
def imported(hf_folder, tmp_path_factory):
    output = tmp_path_factory.mktemp('imported') / 'tiny'
    import_weights.main([f'--source={hf_folder}', f'--output={output}'])
    return output


def from_network(imported, *more):
    """Flags for the network that the import wrote, with its layers stacked or not."""
    return [f'--gin_file={imported / "network.gin"}', f'--checkpoint={imported / "checkpoint_0"}', *more]


def message(capsys, launcher, arguments):
    with pytest.raises(SystemExit) as caught:
        launcher.main(arguments)
    assert caught.value.code != 0
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_a_checkpoint_of_a_folder_has_its_parameters_and_its_network(hf_folder, imported):
    found = traverse_util.flatten_dict(load_params(imported / 'checkpoint_0'), sep='/')
    expected = random_params()
    assert found.keys() == expected.keys()
    for path, leaf in found.items():
        np.testing.assert_array_equal(leaf, expected[path])
    assert (imported / 'spiece.model').read_bytes() == small_model()
    assert 'config.T5Config.dropout_rate = 0.1' in (imported / 'network.gin').read_text()


@pytest.mark.parametrize('scan_layers', [False, True])
def test_import_and_export_lead_back_to_the_same_folder(hf_folder, imported, tmp_path, scan_layers):
    more = (f'--gin.config.T5Config.scan_layers={scan_layers}', f'--output={tmp_path / "hf"}')
    words = (f'--vocabulary={imported / "spiece.model"}', f'--extra_ids={EXTRA_IDS}')
    export_weights.main([*from_network(imported, *more), *words])
    for path in (tmp_path / 'hf').iterdir():
        if path.suffix != '.safetensors':
            assert path.read_bytes() == (hf_folder / path.name).read_bytes(), path.name
    ours, theirs = load_hf(hf_folder), load_hf(tmp_path / 'hf')
    assert ours[0] == theirs[0]
    jax.tree.map(np.testing.assert_array_equal, ours[1], theirs[1])


def test_neither_way_needs_tensorflow_or_transformers(hf_folder, tmp_path):
    code = f"""
import sys
from llmrec_jax import export_weights, import_weights
import_weights.main(['--source={hf_folder}', '--output={tmp_path}/in'])
export_weights.main(['--gin_file={tmp_path}/in/network.gin', '--checkpoint={tmp_path}/in/checkpoint_0',
                     '--output={tmp_path}/out', '--dtype=bfloat16'])
print(sorted({{'tensorflow', 'transformers', 't5x'}} & sys.modules.keys()))
"""
    environment = {**os.environ, 'PYTHONPATH': str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, '-c', code], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == '[]'
    assert json.loads((tmp_path / 'out/config.json').read_text())['torch_dtype'] == 'bfloat16'
    embedding = load_hf(tmp_path / 'out')[1]['token_embedder']['embedding']
    rounded = random_params()['token_embedder/embedding'].astype(jax.numpy.bfloat16)
    np.testing.assert_array_equal(embedding, rounded.astype(np.float32))


def test_of_a_run_the_best_checkpoint_is_exported(hf_folder, tmp_path):
    workdir = tmp_path / 'run'
    checkpoints = Checkpoints(workdir / 'checkpoints', keep=3)
    for step in (10, 20, 30):
        params = {path: np.full(shape, step, np.float32) for path, shape in parameter_shapes(GATED).items()}
        params = traverse_util.unflatten_dict(params, sep='/')
        checkpoints.save(step, TrainState(step=np.int32(step), params=params, opt_state=()))
    checkpoints.close()
    flags = ['--gin_file=gin_configs/flan_t5/finetune.gin', f'--gin.WORKDIR={workdir}', '--gin.EXAMPLES=none']
    flags += ['--gin.INITIAL_CHECKPOINT=None']
    shape = ('vocab_size', 'emb_dim', 'num_heads', 'head_dim', 'mlp_dim')
    shape += ('num_encoder_layers', 'num_decoder_layers')
    flags += [f'--gin.config.T5Config.{name}={getattr(GATED, name)}' for name in shape]

    def exported(name):
        export_weights.main([*flags, f'--output={tmp_path / name}'])
        return load_hf(tmp_path / name)[1]['decoder']['decoder_norm']['scale'][0]

    facts = {'best_checkpoint': None, 'checkpoint': 'checkpoints/checkpoint_30'}
    write_record(workdir, facts)
    assert exported('newest') == 30
    write_record(workdir, {**facts, 'best_checkpoint': 'checkpoints/checkpoint_20'})
    assert exported('best') == 20


def test_t5_1_0_goes_from_its_public_layout_to_hugging_face_s(tmp_path):
    config = dataclasses.replace(TIED, scan_layers=True)
    params = random_params(config)
    published = write_t5x(tmp_path / 'checkpoint_1000', traverse_util.unflatten_dict(params, sep='/'))
    export_folder(config, published, tmp_path / 'hf')
    read, tree = load_hf(tmp_path / 'hf', dropout_rate=None)
    assert read.logits_via_embedding and read.mlp_activations == ('relu',)
    found = traverse_util.flatten_dict(tree, sep='/')
    assert found.keys() == params.keys()
    for path, leaf in params.items():
        np.testing.assert_array_equal(found[path], leaf)
    with pytest.raises(CheckpointError, match='decoder/layers_0/mlp/wi'):
        export_folder(GATED, published, tmp_path / 'gated')


def test_what_cannot_be_exported_is_told_in_one_line_and_leaves_nothing(imported, tmp_path, capsys):
    def told(*more):
        line = message(capsys, export_weights, from_network(imported, *more, f'--output={tmp_path / "hf"}'))
        assert not list(tmp_path.iterdir())
        return line

    assert (
        'decoder/layers_0/encoder_decoder_attention/key/kernel has shape (16, 8) there and (16, 16)'
        in told('--gin.config.T5Config.num_heads=4')
    )
    assert 'checkpoint_1: no such checkpoint' in told(f'--checkpoint={imported / "checkpoint_1"}')
    assert 'spiece does not exist' in told('--vocabulary=spiece')
    too_large = (f'--vocabulary={imported / "spiece.model"}', '--extra_ids=100')
    assert 'and the network has room for 32' in told(*too_large)
    network = [f'--gin_file={imported / "network.gin"}', f'--output={imported}']
    assert 'name its --checkpoint' in message(capsys, export_weights, network)
    overwriting = from_network(imported, f'--output={imported}')
    assert 'holds something already' in message(capsys, export_weights, overwriting)


def test_what_cannot_be_imported_is_told_in_one_line(hf_folder, imported, tmp_path, capsys):
    again = [f'--source={hf_folder}', f'--output={imported}']
    assert 'holds checkpoint_0 already' in message(capsys, import_weights, again)
    absent = [f'--source={tmp_path}', f'--output={tmp_path / "out"}']
    assert f'{tmp_path / "config.json"} does not exist' in message(capsys, import_weights, absent)
    assert not list(tmp_path.iterdir())


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trained(System):
    """A system whose run is its model, a vocabulary and a checkpoint."""

    trained: object = None
    words: TextVocabulary | None = None

    def stages(self):
        return []

    def model(self, run):
        return self.trained

    def vocabulary(self, run):
        return self.words

    def report(self, run, records):
        raise NotImplementedError


def test_a_system_s_run_gives_its_network_its_best_checkpoint_and_its_vocabulary(tmp_path):
    words = TextVocabulary('words.model', small_model(), EXTRA_IDS)
    system = Trained(
        workdir=str(tmp_path), name='p', trained=EncoderDecoderModel(Transformer(GATED)), words=words
    )
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        export_weights.of_system(system)
    facts = {'best_checkpoint': 'checkpoints/checkpoint_20', 'checkpoint': 'checkpoints/checkpoint_30'}
    write_record(tmp_path, facts)
    assert export_weights.of_system(system) == (GATED, tmp_path / 'checkpoints/checkpoint_20', words)
    assert export_weights.of_system(system, own_vocabulary=False)[2] is None
    write_record(tmp_path, {**facts, 'best_checkpoint': None})
    assert export_weights.of_system(system)[1] == tmp_path / 'checkpoints/checkpoint_30'
    named = dataclasses.replace(system, checkpoint='gs://there/checkpoint_5')
    assert export_weights.of_system(named)[1] == 'gs://there/checkpoint_5'


def write_record(root, facts):
    record = StageRecord('train', 'fingerprint', {}, 1.0, 1.0, facts)
    (root / 'stages').mkdir(exist_ok=True)
    (root / 'stages/train.json').write_text(json.dumps(dataclasses.asdict(record)))


@pytest.mark.parametrize('model', [None, object()])
def test_of_a_system_without_a_t5_there_is_nothing_to_export(tmp_path, model):
    with pytest.raises(ValueError, match='sasrec trains .* nothing to export'):
        export_weights.of_system(Trained(workdir=str(tmp_path), name='sasrec', trained=model))


def test_an_export_without_a_vocabulary_says_so_and_one_with_it_can_be_tokenized_for(
    imported, tmp_path, caplog
):
    export_folder(GATED, imported / 'checkpoint_0', tmp_path / 'bare')
    assert sum('--vocabulary' in line for line in caplog.messages) == 1
    assert not list((tmp_path / 'bare').glob('*token*'))
    caplog.clear()
    words = TextVocabulary('words.model', small_model(), EXTRA_IDS)
    export_folder(GATED, imported / 'checkpoint_0', tmp_path / 'whole', vocabulary=words)
    assert not any('--vocabulary' in line for line in caplog.messages)
    read = tokenizers.Tokenizer.from_file(str(tmp_path / 'whole/tokenizer.json'))
    assert read.encode('ab 12 <extra_id_3>').ids == [*words.encode('ab 12 <extra_id_3>'), words.eos_id]
