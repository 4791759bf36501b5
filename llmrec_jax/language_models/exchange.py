"""One exchange with an HTTP server: bounded in time and size, without redirects, and every fault named."""

import email.utils
import http.client
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

LARGEST_REPLY = 64 * 2**20
LARGEST_ERROR = 2**16
LOOPBACK = ('localhost', '127.0.0.1', '::1')


class ExchangeError(Exception):
    """No reply, or one that tells of an error.

    Attributes:
      status: of the reply; None where there was none.
      retry_after: seconds that the server asks to wait; None where it does not.
      content: the reply's body, as far as it was read.
      untrusted: whether there is no trust between the two: a certificate that is not valid, or no TLS.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        content: bytes = b'',
        untrusted: bool = False,
    ):
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        self.content = content
        self.untrusted = untrusted


def opener(url: str) -> urllib.request.OpenerDirector:
    """Sends requests to `url`, through the proxy that the environment names unless it is this machine's own.

    A redirect is an error: following it would hand the key to whoever it names.
    """
    own = urllib.parse.urlsplit(url).hostname in LOOPBACK
    return urllib.request.build_opener(urllib.request.ProxyHandler({} if own else None), _NoRedirect)


def post(
    sender: urllib.request.OpenerDirector,
    url: str,
    content: bytes,
    headers: Mapping[str, str],
    timeout_seconds: float,
) -> bytes:
    """Sends `content` and returns the body of the reply, which is whole and has status 200.

    Args:
      sender: made by `opener`.
      url: where to.
      content: what is sent.
      headers: of the request.
      timeout_seconds: until the last byte of the reply.

    Raises:
      ExchangeError: in every other case.
    """
    request = urllib.request.Request(url, data=content, headers=dict(headers), method='POST')
    deadline = time.monotonic() + timeout_seconds
    try:
        with sender.open(request, timeout=timeout_seconds) as reply:
            if reply.status != 200:
                raise ExchangeError(f'status {reply.status}', status=reply.status)
            return _read(reply, deadline, timeout_seconds)
    except urllib.error.HTTPError as error:
        with error:
            raise ExchangeError(
                f'status {error.code}',
                status=error.code,
                retry_after=_seconds(error.headers.get('Retry-After'), time.time()),
                content=_what_came(error),
            ) from None
    except TimeoutError:
        raise ExchangeError(f'no reply within {timeout_seconds:g} s') from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, 'reason', error)
        if isinstance(reason, TimeoutError):
            raise ExchangeError(f'no reply within {timeout_seconds:g} s') from None
        raise ExchangeError(
            f'the connection failed ({type(reason).__name__}: {reason})',
            # A peer that breaks off is of another class, and may be there again.
            untrusted=isinstance(reason, ssl.SSLError) and not isinstance(reason, ssl.SSLEOFError),
        ) from None


def _read(reply: Any, deadline: float, timeout_seconds: float) -> bytes:
    """The whole body; a socket's own timeout would let a server that drips go on for ever."""
    parts, size = [], 0
    while part := reply.read1(2**16):
        parts.append(part)
        size += len(part)
        if time.monotonic() > deadline:
            raise ExchangeError(f'no whole reply within {timeout_seconds:g} s')
        if size > LARGEST_REPLY:
            raise ExchangeError(f'a reply of more than {LARGEST_REPLY} bytes')
    return b''.join(parts)


def _what_came(reply: Any) -> bytes:
    try:
        return reply.read1(LARGEST_ERROR)
    except (OSError, http.client.HTTPException):
        return b''


def _seconds(retry_after: str | None, now: float) -> float | None:
    """Seconds from `now` on that a `Retry-After` header means, by a number or a date (RFC 9110, 10.2.3)."""
    if retry_after is None:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(retry_after).timestamp() - now
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    return max(seconds, 0.0) if seconds < float('inf') else None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None
