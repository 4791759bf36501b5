"""Takes the lock of a folder, says so or why not, and holds it until it is killed or its input ends."""

import sys
import time

started = time.monotonic()
from llmrec_jax.ownership import lock as lock_module  # noqa: E402
from llmrec_jax.ownership.lock import InUseError, Lock, in_folder  # noqa: E402


def main(folder: str, *flags: str) -> None:
    if '--quick' in flags:
        lock_module.BEAT_SECONDS = 0.2
    try:
        lock = Lock(in_folder(folder), folder, 'a test', takeover='--takeover' in flags)
    except InUseError as error:
        print(f'refused {time.monotonic() - started:.3f} {error}', flush=True)
        return
    print('owner', flush=True)
    sys.stdin.read()
    lock.release()


if __name__ == '__main__':
    main(*sys.argv[1:])
