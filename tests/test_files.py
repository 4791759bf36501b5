import errno
import io
import json
import os
import pathlib
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from llmrec_jax import files


class Interrupted(Exception):
    pass


def test_what_is_written_lies_there_alone(tmp_path):
    files.write_bytes(tmp_path / 'deep' / 'a.bin', b'\x00\xff')
    files.write_text(tmp_path / 'deep' / 'a.txt', 'é\n')
    files.write_json(tmp_path / 'deep' / 'a.json', {'b': 1, 'a': [None, 0.5]})
    with files.text_written_whole(tmp_path / 'deep' / 'lines') as file:
        file.write('один\n')
        file.write('two\n')
    assert sorted(path.name for path in tmp_path.rglob('*')) == ['a.bin', 'a.json', 'a.txt', 'deep', 'lines']
    assert (tmp_path / 'deep/a.bin').read_bytes() == b'\x00\xff'
    assert (tmp_path / 'deep/a.txt').read_bytes() == 'é\n'.encode()
    assert list(json.loads((tmp_path / 'deep/a.json').read_text())) == ['b', 'a']
    assert (tmp_path / 'deep/lines').read_bytes() == 'один\ntwo\n'.encode()


@pytest.mark.parametrize('before', [None, b'before'])
@pytest.mark.parametrize('writer', [files.written_whole, files.text_written_whole])
def test_a_write_that_fails_leaves_what_was_there(tmp_path, writer, before):
    path = tmp_path / 'file'
    if before is not None:
        path.write_bytes(before)
    with pytest.raises(Interrupted), writer(path) as file:
        file.write('half' if isinstance(file, io.TextIOBase) else b'half')
        file.flush()
        assert not path.exists() or path.read_bytes() == before
        raise Interrupted
    assert [child.name for child in tmp_path.iterdir()] == ([] if before is None else ['file'])
    assert before is None or path.read_bytes() == before


def test_a_folder_is_replaced_whole(tmp_path):
    for content in ('first', 'second'):
        with files.folder_written_whole(tmp_path / 'made') as folder:
            (folder / content).mkdir()
            (folder / content / 'file').write_text(content)
    assert [path.name for path in (tmp_path / 'made').rglob('*')] == ['second', 'file']
    with pytest.raises(Interrupted), files.folder_written_whole(tmp_path / 'made') as folder:
        (folder / 'third').write_text('half')
        raise Interrupted
    assert [path.name for path in (tmp_path / 'made').rglob('*')] == ['second', 'file']
    assert [path.name for path in tmp_path.iterdir()] == ['made']


def test_a_kill_leaves_no_file_under_the_name(tmp_path):
    script = """
        import os, signal, sys
        from llmrec_jax import files
        with files.written_whole(sys.argv[1]) as file:
            file.write(b'half' * 10**6)
            os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, '-c', textwrap.dedent(script), str(tmp_path / 'file')])
    assert done.returncode < 0
    assert not (tmp_path / 'file').exists()


def test_two_writers_do_not_mix(tmp_path):
    path = tmp_path / 'file'
    other = (
        'import sys; from llmrec_jax import files; files.write_bytes(sys.argv[1], b"other" * 10**6); '
        'print(files.__file__)'
    )
    with files.written_whole(path) as file:
        file.write(b'one')
        done = subprocess.run([sys.executable, '-c', other, str(path)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert path.read_bytes() == b'other' * 10**6
        file.write(b' more')
    assert path.read_bytes() == b'one more'


@pytest.mark.parametrize(
    ('content', 'what'),
    [({'loss': float('nan')}, 'not JSON compliant'), ({'path': pathlib.Path('a')}, 'not JSON serializable')],
)
def test_what_json_cannot_say_is_refused_by_name(tmp_path, content, what):
    with pytest.raises(ValueError, match=f'out.json cannot be written as JSON: .*{what}'):
        files.write_json(tmp_path / 'out.json', content)
    assert not list(tmp_path.iterdir())


def test_errors_name_the_file_that_was_asked_for(tmp_path):
    (tmp_path / 'taken').mkdir()
    with pytest.raises(IsADirectoryError) as caught:
        files.write_bytes(tmp_path / 'taken', b'')
    assert caught.value.filename == str(tmp_path / 'taken')
    (tmp_path / 'file').touch()
    with pytest.raises(FileExistsError) as caught:
        files.write_bytes(tmp_path / 'file' / 'below', b'')
    assert caught.value.filename == str(tmp_path / 'file')
    assert sorted(path.name for path in tmp_path.iterdir()) == ['file', 'taken']


# What a full disk raises, from the system and from NumPy.
@pytest.mark.parametrize('full', [OSError(errno.ENOSPC, 'No space left on device'), OSError('7 requested')])
@pytest.mark.parametrize('writer', [files.written_whole, files.folder_written_whole])
def test_a_full_disk_is_told_with_the_name(tmp_path, full, writer):
    with pytest.raises(OSError, match='out') as caught, writer(tmp_path / 'out'):
        raise full
    assert caught.value.errno == full.errno
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='needs a device that is full')
def test_a_full_device_is_told_with_the_name(tmp_path):
    with (
        pytest.raises(OSError, match='No space left on device.*out'),
        files.written_whole(tmp_path / 'out'),
        open('/dev/full', 'wb', buffering=0) as full,
    ):
        np.save(full, np.zeros(10**6))
    assert not list(tmp_path.iterdir())


def test_errors_of_other_files_and_of_connections_stay(tmp_path):
    for error in (FileNotFoundError(errno.ENOENT, 'No such file', '/other'), ConnectionResetError('reset')):
        with pytest.raises(type(error)) as caught, files.written_whole(tmp_path / 'out'):
            raise error
        assert caught.value is error


@pytest.mark.parametrize('path', ['gs://bucket/x', 's3://bucket/x', pathlib.Path('gs://bucket/x')])
def test_a_bucket_is_no_folder_to_write_to(path):
    with pytest.raises(ValueError, match='--output=.*mount the bucket'):
        files.check_local('--output', path)


@pytest.mark.parametrize('path', ['runs/x', '/a:b/c', 'a:b', pathlib.Path('runs')])
def test_a_folder_is(path):
    files.check_local('--output', path)
