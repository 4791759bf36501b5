"""What preparing a corpus costs by its size, beside pandas on the same file: one JSON line a figure.

    python benchmarks/corpus_size.py --folder=/tmp/sizes --pandas_python=/tmp/pandas/bin/python

Of each size, `simulated_ratings.py` writes the files (unless they are in the folder); then the stages
`corpus` and `tasks` of SASRec's recipe run in a process of their own: corpus, splits and examples, both
tables written. Then pandas reads the same ratings, sorts them by user and time and groups the movies by user.
Memory is the largest sum over a process and its children, seen every 50 ms. `--pandas_python` is an
interpreter that has pandas; without it only the first half is measured.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import psutil

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import simulated_ratings  # noqa: E402

RECIPE = 'gin_configs/sasrec/movielens_1m.gin'
PANDAS = """
import sys
import pandas
ratings = pandas.read_csv(sys.argv[1])
ratings = ratings.sort_values(['userId', 'timestamp'], kind='stable')
histories = ratings.groupby('userId')['movieId'].agg(list)
print(len(histories))
"""


def measured(command: list[str]) -> dict[str, float]:
    """Seconds, seconds of processor, and the largest memory of a command and what it starts."""
    started = time.monotonic()
    peak = seconds = 0.0
    with (
        tempfile.TemporaryFile() as told,
        subprocess.Popen(command, cwd=ROOT, stdout=told, stderr=subprocess.STDOUT) as process,
    ):
        root = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                family = [root, *root.children(recursive=True)]
                peak = max(peak, sum(one.memory_info().rss for one in family))
                times = root.cpu_times()
                seconds = times.user + times.system + times.children_user + times.children_system
            except psutil.NoSuchProcess:
                break
            time.sleep(0.05)
        if process.wait():
            told.seek(0)
            text = told.read().decode()
            raise RuntimeError(f'{" ".join(command)} ended with {process.returncode}:\n{text[-2000:]}')
    return {
        'seconds': round(time.monotonic() - started, 1),
        'processor_seconds': round(seconds, 1),
        'peak_gb': round(peak / 1e9, 3),
    }


def prepare(files: pathlib.Path, workdir: pathlib.Path) -> dict[str, float]:
    """The stages of the recipe over these files, from nothing."""
    shutil.rmtree(workdir, ignore_errors=True)
    bindings = {'VARIANT': 'latest-small', 'MANUAL_DIR': files, 'K_CORE': 1, 'WORKDIR': workdir}
    command = [sys.executable, '-m', 'llmrec_jax.run', f'--gin_file={RECIPE}', '--stages=corpus,tasks']
    found = measured([*command, *(f'--gin.{name}={value}' for name, value in bindings.items())])
    stages = {
        name: json.loads((workdir / 'stages' / f'{name}.json').read_text(encoding='utf-8'))
        for name in ('corpus', 'tasks')
    }
    return {
        **found,
        **{f'{name}_seconds': round(stage['seconds'], 1) for name, stage in stages.items()},
        'fingerprint': stages['corpus']['facts']['fingerprint'],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--events', default='1000000,4000000,16000000,32000000')
    parser.add_argument('--folder', type=pathlib.Path, required=True)
    parser.add_argument('--pandas_python')
    flags = parser.parse_args()
    before = None
    for events in map(int, flags.events.split(',')):
        files = (flags.folder / str(events)).absolute()
        if not (files / 'ratings.csv').exists():
            simulated_ratings.write(files, events)
        found = {'figure': 'prepare', 'events': events, **prepare(files, (flags.folder / 'run').absolute())}
        if before is not None:
            grown = (found['peak_gb'] - before['peak_gb']) * 1e9 / (events - before['events'])
            found['bytes_an_event_more'] = round(grown, 1)
        before = found
        print(json.dumps(found), flush=True)
        if flags.pandas_python:
            beside = measured([flags.pandas_python, '-c', PANDAS, str(files / 'ratings.csv')])
            times = round(found['seconds'] / beside['seconds'], 2)
            print(
                json.dumps({'figure': 'pandas', 'events': events, **beside, 'prepare_takes_times': times}),
                flush=True,
            )


if __name__ == '__main__':
    main()
