"""Text that was taken from web pages, as people read it: without tags, entities, scripts and style sheets.

A scrap is a value that holds code or markup and nothing else: a title that is a script, a price that is a
style sheet, a category that is `</span>`. It is unknown, and counted.
"""

import collections
import html
import math
import re
from typing import Any

from llmrec_jax.corpora.raw_files import is_number, well_formed

# Field -> how many of its values were scraps.
Scraps = collections.Counter[str]

_ELEMENTS = {
    'a', 'abbr', 'address', 'area', 'article', 'aside', 'audio', 'b', 'base', 'bdi', 'bdo', 'big',
    'blockquote', 'body', 'br', 'button', 'canvas', 'caption', 'center', 'cite', 'code', 'col', 'colgroup',
    'data', 'dd', 'del', 'details', 'dfn', 'dialog', 'div', 'dl', 'dt', 'em', 'embed', 'fieldset',
    'figcaption', 'figure', 'font', 'footer', 'form', 'frame', 'frameset', 'h1', 'h2', 'h3', 'h4', 'h5',
    'h6', 'head', 'header', 'hr', 'html', 'i', 'iframe', 'img', 'input', 'ins', 'kbd', 'label', 'legend',
    'li', 'link', 'main', 'map', 'mark', 'menu', 'meta', 'nav', 'noscript', 'object', 'ol', 'optgroup',
    'option', 'p', 'param', 'picture', 'pre', 'q', 's', 'samp', 'section', 'select', 'small', 'source',
    'span', 'strike', 'strong', 'sub', 'summary', 'sup', 'svg', 'table', 'tbody', 'td', 'template',
    'textarea', 'tfoot', 'th', 'thead', 'title', 'tr', 'tt', 'u', 'ul', 'var', 'video', 'wbr',
}  # fmt: skip
# What stands inside a line; any other tag parts words.
_INLINE = {
    'a', 'abbr', 'b', 'bdi', 'bdo', 'big', 'cite', 'code', 'data', 'del', 'dfn', 'em', 'font', 'i', 'ins',
    'kbd', 'label', 'mark', 'q', 's', 'samp', 'small', 'span', 'strike', 'strong', 'sub', 'sup', 'tt', 'u',
    'var', 'wbr',
}  # fmt: skip
_HIDDEN = re.compile(r'<!--.*?(?:-->|\Z)|<(script|style)\b.*?(?:</\1\s*>|\Z)', re.DOTALL | re.IGNORECASE)
_TAG = re.compile(
    r'</?([A-Za-z][A-Za-z0-9]*)(?:\s(?:[^<>"\']|"[^"]*"|\'[^\']*\')*|\s[^<>]*)?/?>|<!(?i:doctype)[^<>]*>'
)
# Without its semicolon a name is none, so that links and names such as R&D and Q&Not keep their letters.
_ENTITY = re.compile(r'&(?:#[0-9]{1,7};?|#[xX][0-9A-Fa-f]{1,6};?|[A-Za-z][A-Za-z0-9]{1,31};)')
_CODE = re.compile(
    r'\b(?:var|let|const)\s+[A-Za-z_$][\w$]*\s*=(?!=)'
    r'|\bfunction\s*[\w$]*\s*\([^()]{0,200}\)\s*\{'
    r'|\bnew\s+Date\s*\(|\.getTime\s*\('
    r'|\b(?:window|document)\.[A-Za-z_$][\w$]*\s*[=(.\[|]'
    r'|@media\b[^{}]{0,200}\{|@font-face\s*\{'
    r'|[.#][A-Za-z_][\w-]*[^{}]{0,200}\{\s*[a-z-]+\s*:'
    r'|[\w\])]\s*\{\s*[a-z-]+\s*:[^{};]*;'
)
_BLANKS = re.compile(r'[ \t\u00a0]+')
_LAYOUT = re.compile(r'[\t\n\r\v\f]')
_NUMBER = re.compile(r'\$?\s*([0-9]{1,12}(?:,[0-9]{3})*(?:\.[0-9]+)?|\.[0-9]+)')
_BY = re.compile(r'by\s+(?=\S)')
_VISIT = re.compile(r"Visit (?:Amazon's (.+) Page|the (.+) Store)")


def readable(text: str) -> str:
    """The text without tags, comments, scripts, style sheets and the entities of HTML.

    Tags are those of HTML's elements: 'vector<int>' and '<3' stay. Text that a page escaped twice is
    unescaped twice. Where no markup is found the text is as it came, apart from lone surrogates.
    """
    if '<' in text:
        text = _without_tags(text)
    for _ in range(2):
        if '&' not in text:
            break
        plain = _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)
        if plain == text:
            break
        text = _without_tags(plain)
    return well_formed(text)


def _without_tags(text: str) -> str:
    found = False

    def replaced(tag: re.Match) -> str:
        nonlocal found
        name = tag[1]
        if name is not None and name.lower() not in _ELEMENTS:
            return tag[0]
        found = True
        return '' if name is not None and name.lower() in _INLINE else ' '

    text, hidden = _HIDDEN.subn(' ', text)
    text = _TAG.sub(replaced, text)
    return _BLANKS.sub(' ', text) if found or hidden else text


def line(value: Any, field: str, scraps: Scraps) -> str:
    """A short text (a title, a category) on one line; '' where the value is no text or a scrap.

    Args:
      value: as the file holds it.
      field: names it in `scraps`.
      scraps: counts what was taken out.
    """
    if not isinstance(value, str) or not value:
        return ''
    plain = readable(value)
    # Blanks of a page's layout; two blanks that a person wrote stay.
    plain = ' '.join(plain.split()) if plain != value or _LAYOUT.search(value) else value.strip()
    if value.strip() and (not plain or _CODE.search(plain)):
        scraps[field] += 1
        return ''
    return plain


def brand(value: Any, scraps: Scraps) -> str:
    """A maker's name, without the words around it: 'by Acme', 'Visit the Acme Store'."""
    name = line(value, 'brand', scraps)
    if visited := _VISIT.fullmatch(name):
        return visited[1] or visited[2]
    return _BY.sub('', name, count=1) if _BY.match(name) else name


def paragraphs(value: Any, field: str, scraps: Scraps) -> str:
    """A description, given as one text or as parts: its lines without those that are code."""
    kept = []
    for part in value if isinstance(value, list) else [value]:
        if isinstance(part, str) and part.strip():
            lines = readable(part).strip().split('\n')
            prose = [one for one in lines if not _CODE.match(one.strip())]
            kept.append('\n'.join(prose).strip())
            scraps[field] += len(prose) < len(lines) or not kept[-1]
    return '\n'.join(filter(None, kept))


def opinion(value: Any, field: str, scraps: Scraps) -> str:
    """What a person wrote: a review, its headline. Code in it may be meant, unless it begins with it."""
    if not isinstance(value, str) or not value:
        return ''
    plain = readable(value).strip()
    if value.strip() and (not plain or _CODE.match(plain)):
        scraps[field] += 1
        return ''
    return plain


def path(names: Any, scraps: Scraps) -> tuple[str, ...]:
    """Categories from the root to the leaf.

    A path ends at its first scrap: what follows comes from elsewhere on the page, and counts as scraps too.
    """
    found: list[str] = []
    for place, name in enumerate(names):
        before = scraps['categories']
        plain = line(name, 'categories', scraps)
        if scraps['categories'] > before:
            scraps['categories'] = before + len(names) - place
            break
        if plain:
            found.append(plain)
    return tuple(found)


def price(value: Any, scraps: Scraps) -> float:
    """A number, '25.00' or '$1,299.00'; NaN for what is none, such as a range, of which code is a scrap."""
    if is_number(value):
        return float(value) if value >= 0 else math.nan
    if not isinstance(value, str):
        return math.nan
    plain = line(value, 'price', scraps)
    match = _NUMBER.fullmatch(plain)
    return float(match[1].replace(',', '')) if match else math.nan
