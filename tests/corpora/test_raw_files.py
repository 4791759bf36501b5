import codecs
import gzip
import hashlib
import os
import zipfile

import pytest

from llmrec_jax.corpora.raw_files import (
    existing_file,
    file_sha256,
    find_archive,
    json_line,
    numbered_lines,
    well_formed,
)


def test_plain_and_gzip_files_give_the_same_numbered_lines(tmp_path):
    text = 'one\r\n\nthree é'.encode()
    plain, packed = tmp_path / 'a.txt', tmp_path / 'a.txt.gz'
    plain.write_bytes(text)
    packed.write_bytes(gzip.compress(text))
    assert (
        list(numbered_lines(plain)) == list(numbered_lines(packed)) == [(1, 'one'), (2, ''), (3, 'three é')]
    )


def test_gzip_is_told_by_its_bytes_and_a_byte_order_mark_is_dropped(tmp_path):
    text = codecs.BOM_UTF8 + 'ä\n\ufeffb\n'.encode()
    for name, content in (('a.txt', text), ('b.txt', gzip.compress(text)), ('c.gz', gzip.compress(text))):
        (tmp_path / name).write_bytes(content)
        # `cat` of two such files puts a mark between lines.
        assert list(numbered_lines(tmp_path / name)) == [(1, 'ä'), (2, 'b')]
    (tmp_path / 'a.txt').write_bytes(codecs.BOM_UTF8 + 'é'.encode('latin-1'))
    assert list(numbered_lines(tmp_path / 'a.txt', 'latin-1')) == [(1, 'é')]


def test_a_truncated_gzip_says_how_far_it_went(tmp_path):
    path = tmp_path / 'a.json.gz'
    whole = gzip.compress('\n'.join(str(number**7) for number in range(40_000)).encode())
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        ValueError, match=r'a.json.gz, after line \d{3,}: not a whole gzip file .* download it again'
    ):
        list(numbered_lines(path))


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('a.txt', b'', r'a.txt is empty'),
        ('a.gz', gzip.compress(b''), r'a.gz is empty'),
        ('a.gz', b'', r'a.gz is empty'),
        ('a.gz', b'no gzip', r'a.gz, after line 0: not a whole gzip file'),
        ('a.gz', gzip.compress(b'x' * 99)[:-9] + b'\0' * 9, r'a.gz, after line \d: not a whole gzip file'),
        ('a.txt', b'fine\n\xff\xfe', r'a.txt, line 2: bytes that are not utf-8'),
        ('a.txt', 'text'.encode('utf-16'), r'a.txt, line 1: UTF-16; expected text in utf-8'),
    ],
    ids=['empty', 'empty stream', 'empty gzip', 'no gzip', 'wrong checksum', 'wrong encoding', 'UTF-16'],
)
def test_damaged_files_are_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        list(numbered_lines(tmp_path / name))


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('{"a": 1', r'f.json, line 7: not JSON \(.* at column \d+\); expected one JSON object a line'),
        ('[1, 2]', r'f.json, line 7: a list, not an object'),
        ("{'a': 1}", r'f.json, line 7: not JSON'),
    ],
)
def test_wrong_json_is_named_with_its_line(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        json_line(tmp_path / 'f.json', 7, text)


def test_python_literals_are_read_where_they_are_asked_for(tmp_path):
    assert json_line(tmp_path, 1, "{'a': 'it\\'s', 'b': None}", python_literals=True) == {
        'a': "it's",
        'b': None,
    }
    for text in ("{'a': 1", '__import__("os").getcwd()', "{'a': f()}"):
        with pytest.raises(ValueError, match=r'line 1: neither JSON \(.*\) nor a Python dict'):
            json_line(tmp_path, 1, text, python_literals=True)


def test_lone_surrogates_become_text_that_can_be_stored():
    assert well_formed('a\ud83db 🛁') == 'a?b 🛁'


def test_a_missing_file_is_named_with_what_it_should_hold(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'items.jsonl is missing; expected items. Look there.'):
        existing_file(tmp_path / 'items.jsonl', 'items', 'Look there.')


def test_archives_are_found_packed_or_unpacked(tmp_path):
    packed, unpacked, flat = (tmp_path / name for name in ('packed', 'unpacked', 'flat'))
    for directory in (packed, unpacked / 'ml', flat):
        directory.mkdir(parents=True)
    with zipfile.ZipFile(packed / 'ml.zip', 'w') as archive:
        archive.writestr('ml/a.dat', 'é\n'.encode('latin-1'))
    for directory in (unpacked / 'ml', flat):
        (directory / 'a.dat').write_bytes('é\n'.encode('latin-1'))
    for directory in (packed, unpacked, flat):
        archive = find_archive(directory, 'ml', ('a.dat',), 'mend')
        assert list(archive.lines('a.dat', 'latin-1')) == [(1, 'é')]


def test_archives_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'has neither ml.zip nor a directory with a.dat; get it'):
        find_archive(tmp_path, 'ml', ('a.dat',), 'get it')
    with zipfile.ZipFile(tmp_path / 'ml.zip', 'w') as archive:
        archive.writestr('ml/b.dat', 'b')
    with pytest.raises(FileNotFoundError, match=r"ml.zip holds \['ml/b.dat'\]; expected a.dat. get it"):
        find_archive(tmp_path, 'ml', ('a.dat',), 'get it')
    whole = (tmp_path / 'ml.zip').read_bytes()
    (tmp_path / 'ml.zip').write_bytes(whole[:40])
    with pytest.raises(ValueError, match=r'ml.zip: not a whole zip archive .* download it again'):
        find_archive(tmp_path, 'ml', ('b.dat',), 'get it')


def test_a_damaged_member_is_named(tmp_path):
    path = tmp_path / 'ml.zip'
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('ml/a.dat', 'abc\ndef\n')
    path.write_bytes(path.read_bytes().replace(b'abc\ndef', b'abc\ndeg', 1))
    archive = find_archive(tmp_path, 'ml', ('a.dat',), 'mend')
    with pytest.raises(ValueError, match=r'ml.zip/ml/a.dat: not a whole zip archive \(Bad CRC'):
        list(archive.lines('a.dat', 'utf-8'))


def test_a_file_is_hashed_again_when_it_has_changed_and_only_then(tmp_path, monkeypatch):
    path = tmp_path / 'file'
    read = []
    digest = hashlib.file_digest
    monkeypatch.setattr(hashlib, 'file_digest', lambda *given: read.append(given) or digest(*given))
    path.write_bytes(b'one')
    # Just written, it may change once more without a trace in its times.
    assert file_sha256(path) == file_sha256(path) == hashlib.sha256(b'one').hexdigest()
    assert len(read) == 2
    monkeypatch.setattr('llmrec_jax.corpora.raw_files._SETTLED_NS', -(10**18))
    assert file_sha256(path) == file_sha256(path)
    assert len(read) == 3
    path.write_bytes(b'two')
    os.utime(path, ns=(0, 0))
    assert file_sha256(path) == hashlib.sha256(b'two').hexdigest()
