"""Weights of decoders go into a checkpoint and back, as users take them there."""

import dataclasses

import jax
import numpy as np
import pytest
from flax import traverse_util

from llmrec_jax import export_weights, import_weights
from llmrec_jax.models.decoder_only.config import Llama3Rope
from llmrec_jax.models.hf_weights import load_hf, write_hf
from tests.models.decoder_only.small import LLAMA, random_params
from tests.small_t5 import readers

CONFIG = dataclasses.replace(LLAMA, rope_scaling=Llama3Rope(8.0, original_context_length=64))


@pytest.mark.parametrize('scan_layers', [False, True])
def test_import_and_export_lead_back_to_the_same_folder(tmp_path, scan_layers):
    params = traverse_util.flatten_dict(random_params(CONFIG), sep='/')
    beside = {'tokenizer.json': b'{}'}
    folder = write_hf(tmp_path / 'hf', CONFIG, readers(params), tokens={}, beside=beside)
    imported = tmp_path / 'imported'
    import_weights.main([f'--source={folder}', f'--output={imported}'])
    assert (imported / 'tokenizer.json').read_bytes() == b'{}'
    export_weights.main(
        [
            f'--gin_file={imported / "network.gin"}',
            f'--gin.decoder_only.DecoderConfig.scan_layers={scan_layers}',
            f'--checkpoint={imported / "checkpoint_0"}',
            f'--output={tmp_path / "again"}',
        ]
    )
    assert (tmp_path / 'again/config.json').read_bytes() == (folder / 'config.json').read_bytes()
    ours, theirs = load_hf(folder), load_hf(tmp_path / 'again')
    assert ours[0] == theirs[0] == CONFIG
    jax.tree.map(np.testing.assert_array_equal, ours[1], theirs[1])


def test_another_file_is_refused_in_one_line(tmp_path, capsys):
    (tmp_path / 'm.gguf').write_bytes(b'no model')
    with pytest.raises(SystemExit):
        import_weights.main([f'--source={tmp_path / "m.gguf"}', f'--output={tmp_path / "out"}'])
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert 'cut short' in message or "pip install 'llmrec_jax[gguf]'" in message
