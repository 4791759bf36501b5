"""Files of weights that an installed package holds."""

import dataclasses
import importlib.util
import os
import pathlib


@dataclasses.dataclass(frozen=True)
class InstalledFile(os.PathLike):
    """A file in a package, wherever it is installed; looked for when it is opened.

    Attributes:
      package: whose folder holds it.
      name: the file's, in that folder.
      install: a command that installs the package.
    """

    package: str
    name: str
    install: str

    def __fspath__(self) -> str:
        """Its path.

        Raises:
          FileNotFoundError: the package is not installed, or has no such file.
        """
        # The package is found, never imported: only its data is wanted.
        spec = importlib.util.find_spec(self.package)
        folders = [] if spec is None else spec.submodule_search_locations or []
        found = next(
            (path for path in (pathlib.Path(one, self.name) for one in folders) if path.is_file()), None
        )
        if found is None:
            raise FileNotFoundError(f'{self.name} is not installed: run `{self.install}`')
        return str(found)
