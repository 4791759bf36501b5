"""A recipe that writes profiles of a corpus's users, and the folder of its run."""

import dataclasses
import pathlib
from typing import TYPE_CHECKING

from llmrec_jax.launch.profiles.profile_writer import ProfileWriter
from llmrec_jax.launch.run_folder import RunFolder
from llmrec_jax.prompts.naming.titles import TitleNames

if TYPE_CHECKING:
    from llmrec_jax.corpora.source import CorpusSource


@dataclasses.dataclass(frozen=True)
class ProfileRecipe:
    """What is run, and where.

    Attributes:
      workdir: folder of everything the run makes; `profiles.jsonl` in it is what other recipes read.
      corpus: whose users.
      data_dir: where the corpus is prepared.
      writer: writes the profiles.
      titles: what the items are called; quotation marks in them become apostrophes.
      max_history: the newest items of a training history that are shown.
      max_item_keywords: categories of an item that are shown.
      max_users: users whose profiles are written, drawn; None for all.
      seed: of the draw.
    """

    workdir: str
    corpus: 'CorpusSource'
    data_dir: str
    writer: ProfileWriter
    titles: TitleNames = dataclasses.field(default_factory=lambda: TitleNames(max_characters=60))
    max_history: int = 20
    max_item_keywords: int = 3
    max_users: int | None = None
    seed: int = 0

    def __post_init__(self):
        for name in ('max_history', 'max_item_keywords', 'max_users'):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f'ProfileRecipe.{name} must be at least 1, not {getattr(self, name)}')


@dataclasses.dataclass(frozen=True, eq=False)
class ProfileFolder(RunFolder):
    """Paths of one run.

    Attributes:
      recipe: what is run.
    """

    recipe: ProfileRecipe

    @property
    def profiles_path(self) -> pathlib.Path:
        """The profiles; see `prompts.palr.profiles`."""
        return self.root / 'profiles.jsonl'

    @property
    def responses_path(self) -> pathlib.Path:
        """What the language model answered, where the recipe names no other file."""
        return self.root / 'responses.jsonl'
