"""Small directories in the S3-Rec form, written as users have them."""

import json
from pathlib import Path

ITEMS = [
    {'id': 1, 'asin': 'B01', 'title': 'Nail lacquer', 'brand': 'OPI', 'categories': [['Beauty', 'Nails']]},
    {
        'id': 2,
        'asin': 'B02',
        'title': 'Crème brûlée "bath" 香水 🛁',
        'brand': None,
        'categories': [['Beauty']],
    },
    {'id': 3, 'asin': 'B03', 'title': 'Plain', 'brand': '', 'categories': [], 'price': 1.1},
    {
        'id': 4,
        'asin': 'B04',
        'title': 'Comb',
        'brand': 'Kent',
        'categories': [['Beauty', 'Hair'], ['Tools', 'Combs']],
        'description': 'A comb.\nFor hair.',
        'price': 25,
    },
    {'id': 5, 'asin': 'B05', 'title': None, 'brand': None, 'categories': None},
]
SEQUENCES = ['7 1 2 3 4', '3 4 3 2', '12 5 1', '9 3']


def write_directory(directory: Path, sequences: list[str] = SEQUENCES, items: list[dict] = ITEMS) -> Path:
    """Writes `sequential.txt` and `items.jsonl` and returns the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / 'sequential.txt').write_text(''.join(f'{line}\n' for line in sequences))
    (directory / 'items.jsonl').write_text(''.join(f'{json.dumps(item)}\n' for item in items))
    return directory
