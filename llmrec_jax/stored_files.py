"""Files read from a local disk or a bucket.

All goes through tensorstore's key-value stores, so a file on disk and one under `gs://` differ in their
address alone, and no TensorFlow is needed for either.
"""

import os
import pathlib

import tensorstore as ts


def absolute(path: str | os.PathLike) -> str:
    """A path made absolute, or an address that tensorstore knows, such as `gs://bucket/folder`, as it is."""
    text = os.fspath(path)
    return text.rstrip('/') if '://' in text else str(pathlib.Path(text).absolute())


def url(path: str) -> str:
    """How tensorstore calls what `absolute` gave."""
    return path if '://' in path else pathlib.Path(path).as_uri()


def patient_context() -> ts.Context:
    """Settings of a client that gives a bucket out of reach up after a minute and not after an hour."""
    return ts.Context({'cache_pool': {'total_bytes_limit': 10**8}, 'gcs_request_retries': {'max_retries': 6}})


def read_file(path: str | os.PathLike) -> bytes:
    """Contents of one file, local or under `gs://`.

    Raises:
      FileNotFoundError: when there is none.
      OSError: when it cannot be read; both name it.
    """
    folder, _, name = absolute(path).rpartition('/')
    try:
        store = ts.KvStore.open(url(folder or '/') + '/', context=patient_context()).result()
        found = store.read(name).result()
    except ValueError as error:
        raise OSError(f'{path} cannot be read: {str(error).splitlines()[0]}') from error
    if found.state != 'value':
        raise FileNotFoundError(f'{path} does not exist')
    return found.value
