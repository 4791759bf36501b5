"""What gin says is wrong, with the nearest name that exists."""

import difflib
import re
from collections.abc import Sequence

from gin import config as gin_internals


def macro_hint(name: str, known: Sequence[str]) -> str:
    """What may have been meant by a macro that nothing refers to.

    Args:
      name: of the macro.
      known: names that the recipe refers to.

    Returns:
      The same name in other letters, or else every parameter of that name, or else the nearest of `known`, or
      else all of them, in words.
    """
    alike = [macro for macro in known if macro.lower() == name.lower()]
    close = alike or _full_names(name) or difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    return f'did you mean {" or ".join(close)}?' if close else f'known are {", ".join(known)}'


def _full_names(parameter: str) -> list[str]:
    """Every `Class.parameter` of that parameter among what the recipe refers to, as a binding names it."""
    registry = gin_internals._REGISTRY
    return sorted(
        f'{registry.minimal_selector(selector)}.{parameter}'
        for selector in registry._selector_map
        if not selector.startswith('gin.') and parameter in _parameters(selector)
    )


def explained(message: str) -> str:
    """Gin's `message`, with the nearest known name, or the way to give what is required."""
    required = re.search(r'([\w./]+?)(?:/macro\.value)? set to `%gin.REQUIRED` but not', message)
    if required:
        return f'{required[1]} is required: give it as --gin.{required[1]}=VALUE'
    unknown_parameter = re.search(r"Configurable '([^']+)' doesn't have a parameter named '([^']+)'", message)
    if unknown_parameter:
        known = _parameters(unknown_parameter[1])
        close = difflib.get_close_matches(unknown_parameter[2], known, n=1, cutoff=0.4)
        hint = f'did you mean {unknown_parameter[1]}.{close[0]}?' if close else f'it has {", ".join(known)}'
        return f'{message}\n{hint}'
    unknown = re.search(r"No configurable matching (?:reference )?'?@?([\w./]+)", message)
    if unknown:
        asked = re.search(rf'{re.escape(unknown[1])}\.(\w+)\s*=', message)
        if asked and (names := _full_names(asked[1])):
            close = difflib.get_close_matches(f'{unknown[1]}.{asked[1]}', names, n=1, cutoff=0.6) or names
            return f'{message}\ndid you mean {" or ".join(close)}?'
        known = sorted(gin_internals._REGISTRY._selector_map)
        tails = ['.'.join(name.split('.')[-count:]) for name in known for count in (1, 2)]
        close = difflib.get_close_matches(unknown[1], tails, n=1, cutoff=0.4)
        return f'{message}\ndid you mean {close[0]}?' if close else message
    return message


def _parameters(selector: str) -> list[str]:
    configurable = gin_internals._REGISTRY.get_match(selector)
    spec = gin_internals._get_cached_arg_spec(configurable.wrapped)
    return [name for name in (*spec.args, *spec.kwonlyargs) if name != 'self']
