"""ScaNN's kernels, imported without the TensorFlow that its package would pull in."""

import sys
from types import ModuleType


def scann_ops_pybind() -> ModuleType:
    """ScaNN's numpy interface.

    `import scann` also tries to import TensorFlow, for operations that nothing here uses: that costs seconds
    and hundreds of megabytes, and dies on a TensorFlow other than the one ScaNN was linked against. An entry
    of None in `sys.modules` makes that import raise the ModuleNotFoundError that ScaNN catches.
    """
    loaded = sys.modules.get('scann.scann_ops.py.scann_ops_pybind')
    if loaded is not None:
        return loaded
    had_tensorflow = 'tensorflow' in sys.modules
    tensorflow = sys.modules.get('tensorflow')
    sys.modules['tensorflow'] = None
    try:
        from scann.scann_ops.py import scann_ops_pybind as ops
    finally:
        if had_tensorflow:
            sys.modules['tensorflow'] = tensorflow
        else:
            del sys.modules['tensorflow']
    return ops
