"""The shell commands that a Markdown page shows."""

import re
import shlex


def blocks(page: str) -> list[list[str]]:
    """The commands of every ```sh block as words, comments and line breaks within a command left out."""
    texts = re.findall(r'^```sh\n(.*?)^```$', page, re.MULTILINE | re.DOTALL)
    lines = (line for text in texts for line in text.replace('\\\n', ' ').splitlines())
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def inline(page: str) -> list[list[str]]:
    """The commands that stand within a line of text, between backticks."""
    outside = re.sub(r'^```.*?^```$', '', page, flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r'`((?:gcloud |python |tpu_scripts/)[^`]*)`', outside)
    return [shlex.split(command) for command in found]
