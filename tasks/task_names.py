"""Names of SeqIO tasks: readable, and different for what is different."""

import hashlib
import json
from typing import Any


def in_letters(text: str) -> str:
    """The text with an underscore for whatever SeqIO's names may not have."""
    return ''.join(letter if letter.isalnum() else '_' for letter in text)


def digest(*decisive: Any) -> str:
    """Eight hex digits of what decides a task's examples, given as JSON-able values."""
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:8]
