"""What MovieLens tells of its users, in words."""

from llmrec_jax.corpora.archives import Archive
from llmrec_jax.corpora.raw_files import bad_line

_AGES_1M = {
    '1': 'under 18',
    '18': '18 to 24',
    '25': '25 to 34',
    '35': '35 to 44',
    '45': '45 to 49',
    '50': '50 to 55',
    '56': '56 or older',
}
_OCCUPATIONS_1M = (
    '', 'academic or educator', 'artist', 'clerical or administrative worker', 'college or graduate student',
    'customer service worker', 'doctor or health care worker', 'executive or manager', 'farmer', 'homemaker',
    'K-12 student', 'lawyer', 'programmer', 'retired', 'sales or marketing worker', 'scientist',
    'self-employed',
    'technician or engineer', 'tradesman or craftsman', 'unemployed', 'writer',
)  # fmt: skip
_GENDERS = {'F': 'woman', 'M': 'man'}
# Of the occupations of 100k, those that say nothing.
_NO_OCCUPATION = ('other', 'none')


def profiles_100k(archive: Archive, member: str) -> dict[str, str]:
    """User id -> e.g. 'a woman, 24 years old, technician', from 'user|age|gender|occupation|zip code'.

    Raises:
      ValueError: naming file and line, when a line is malformed.
    """
    profiles = {}
    for number, line in archive.lines(member, 'latin-1'):
        fields = line.split('|')
        if len(fields) != 5 or not fields[1].isdigit() or fields[2] not in _GENDERS:
            bad_line(archive.path_of(member), number, repr(line), 'user|age|F or M|occupation|zip code')
        user, age, gender, occupation, _ = fields
        work = '' if occupation in _NO_OCCUPATION else occupation
        profiles[user] = _profile(gender, f'{age} years old', work)
    return profiles


def profiles_1m(archive: Archive, member: str) -> dict[str, str]:
    """User id -> e.g. 'a man, 25 to 34 years old, scientist', from 'user::gender::age::occupation::zip code'.

    Raises:
      ValueError: naming file and line, when a line is malformed.
    """
    profiles = {}
    for number, line in archive.lines(member, 'latin-1'):
        fields = line.split('::')
        known = len(fields) == 5 and fields[1] in _GENDERS and fields[2] in _AGES_1M and fields[3].isdigit()
        if not known or int(fields[3]) >= len(_OCCUPATIONS_1M):
            bad_line(
                archive.path_of(member), number, repr(line), 'user::F or M::age group::occupation::zip code'
            )
        user, gender, age, occupation, _ = fields
        profiles[user] = _profile(gender, f'{_AGES_1M[age]} years old', _OCCUPATIONS_1M[int(occupation)])
    return profiles


def _profile(gender: str, age: str, occupation: str) -> str:
    return ', '.join(part for part in (f'a {_GENDERS[gender]}', age, occupation) if part)
