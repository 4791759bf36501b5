"""One process of a small training run of many: columns, workdir and the flags of many hosts."""

import argparse
import dataclasses
import os
import pathlib

from llmrec_jax.runs import distributed, shutdown
from llmrec_jax.training import processes
from llmrec_jax.training.columns import ColumnStore
from llmrec_jax.training.mesh import MeshShape
from tests.faults.resume_run import TRAINER, validate
from tests.training.small_model import SmallModel

MODEL = SmallModel(dropout=0.2)

if __name__ == '__main__':
    parser = argparse.ArgumentParser()
    parser.add_argument('columns')
    parser.add_argument('workdir')
    parser.add_argument('--steps', type=int, default=60)
    parser.add_argument('--mesh_model', type=int, default=1)
    distributed.add_arguments(parser)
    flags = parser.parse_args()
    distributed.initialize(flags)
    with shutdown.errors_as_messages('many_hosts_run'):
        (pathlib.Path(flags.workdir) / f'pid.{processes.index()}').write_text(str(os.getpid()))
        trainer = dataclasses.replace(TRAINER, steps=flags.steps, mesh=MeshShape(model=flags.mesh_model))
        trainer.fit(MODEL, ColumnStore.open(flags.columns), flags.workdir, validate)
