"""Files that a request gives by their URL, fetched for an upstream that takes bytes only (`providers.inlining`).

The caller chose the URL, so it is hostile: nothing of the caller's or of ours goes there but a GET, over https to
public addresses alone, checked anew at each redirect (`providers.transport`). What comes back is believed by its first
bytes, and bounded in size, number and time. An error says what the caller knows already, and the status at most.

Each URL is asked for once per request, whatever comes of it and however many upstreams are tried.
"""

from __future__ import annotations

import asyncio
import base64
import weakref
from collections.abc import Iterable
from typing import ClassVar, Final, Literal
from urllib.parse import quote, urljoin, urlsplit

import httpx
from django.conf import settings

from api.errors import ApiError, Fault
from providers import transport
from providers.dialects.canon import Media
from providers.dialects.media_types import type_by_content
from providers.entries import Timeouts
from providers.exchange import Call, CallClock, Outgoing
from providers.inlining import File

#: Of one request: files, bytes of each of them, redirects of each, files asked for at once, seconds for all of them.
MOST_FILES: Final = 20
MOST_BYTES: Final = 16 * 1024 * 1024
MOST_REDIRECTS: Final = 3
AT_ONCE: Final = 4
PATIENCE: Final = 15.0
#: Files that one process asks for at once, and bytes of them that its requests may hold at once.
MOST_AT_ONCE: Final = 64
MOST_HELD: Final = 256 * 1024 * 1024
#: Characters of a URL.
LONGEST: Final = 8192

_TIMEOUTS: Final = Timeouts(connect=5.0, first_byte=10.0, gap=10.0, total=PATIENCE)
_HEADERS: Final = [("accept", "image/*, application/pdf"), ("user-agent", "jackfield")]
_REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))
#: Stores that were not told what they hold say one of these.
_UNTOLD: Final = frozenset(("", "application/octet-stream", "binary/octet-stream", "application/x-pdf"))
#: What may stand in a URL; anything else a client left unescaped.
_IN_URLS: Final = "%/:=&?~#+!$,;'@()*[]"
_PLACE: Final = "it, and wherever it redirects to, must be an https URL on port 443 of a host with public addresses"

_rooms: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = weakref.WeakKeyDictionary()


class _Bad(Exception):
    """Why there is no file, in words for the caller."""


class _Full(Exception):
    """The requests of this process hold as much as they may."""


class _Budget:
    """Bytes that may still be read for a request, and those that it holds."""

    #: by all requests of this process
    held_by_all: ClassVar[int] = 0

    def __init__(self, left: int) -> None:
        self.left = left
        self.held = 0

    def hold(self, size: int) -> None:
        """Count what was read; less than nothing: what was given back. Raises _Full."""
        self.held += size
        _Budget.held_by_all += size
        if size > 0 and _Budget.held_by_all > max(MOST_HELD, settings.FETCH_MAX):
            raise _Full


class Files:
    """The files of one request. `param`: where the client's dialect has them."""

    __slots__ = ("_budget", "_found", "_one_by_one", "_param", "_room")

    def __init__(self, param: str) -> None:
        self._param = param
        self._found: dict[str, File | ApiError] = {}
        self._budget = _Budget(settings.FETCH_MAX)
        self._room = asyncio.Semaphore(AT_ONCE)
        self._one_by_one = asyncio.Lock()

    def of(self, wanted: Iterable[Media]) -> dict[str, File]:
        """What was at these URLs. Raises Unfetched, ApiError."""
        wanted = tuple(wanted)
        missing = tuple(media for media in wanted if media.url not in self._found)
        if missing:
            raise Unfetched(self, missing)
        files: dict[str, File] = {}
        for media in wanted:
            found = self._found[media.url]
            if isinstance(found, ApiError):
                raise found
            if not found.is_what(media):
                raise self._error(media, f"it is no {_what(media)}")
            files[media.url] = found
        return files

    def refuse_more(self, size: int) -> None:
        """Raise ApiError if the request would hold more than it may: a file that it shows twice is written twice."""
        if size > settings.FETCH_MAX:
            mib = settings.FETCH_MAX / (1024 * 1024)
            text = f"The files that the request gives by URL are more than {mib:g} MiB, each counted as often as shown."
            raise ApiError(Fault.FILE_NOT_FETCHED, text, param=self._param)

    async def fetch(self, wanted: Iterable[Media], due: float) -> None:
        """Ask for them, until `due` in the loop's time at the latest; none of them where they are too many. Of two who
        want the same, the second waits for what the first one gets."""
        async with self._one_by_one:
            await self._fetch({media.url: media for media in wanted if media.url not in self._found}, due)

    async def _fetch(self, by_url: dict[str, Media], due: float) -> None:
        if len(self._found) + len(by_url) > MOST_FILES:
            text = (
                f"A request may give at most {MOST_FILES} files by their URL to this model; send their data in base64."
            )
            self._found.update(dict.fromkeys(by_url, ApiError(Fault.FILE_NOT_FETCHED, text, param=self._param)))
            return
        until = min(due, asyncio.get_running_loop().time() + PATIENCE)
        found = await asyncio.gather(*(self._one(media, until) for media in by_url.values()))
        self._found.update(zip(by_url, found, strict=True))

    def forget(self) -> None:
        """The request is told, or over: its files are not needed any more."""
        self._found.clear()
        self._budget.hold(-self._budget.held)

    async def _one(self, media: Media, until: float) -> File | ApiError:
        """A file, or the error that says why there is none."""
        others_first = False
        try:
            async with asyncio.timeout_at(until), self._room:
                others_first = True
                async with _everybodys_room():
                    others_first = False
                    data = await _read(media.url, self._budget)
        except TimeoutError:
            if others_first:
                return ApiError(Fault.OVERLOADED, headers={"retry-after": "1"})
            return self._error(media, "it did not come in time")
        except _Full:
            return ApiError(Fault.OVERLOADED, headers={"retry-after": "1"})
        except _Bad as problem:
            return self._error(media, str(problem))
        except httpx.HTTPError as problem:
            return self._error(media, _why(problem))
        media_type = type_by_content(data)
        if not media_type:
            return self._error(media, "it is no image or PDF")
        kind: Literal["image", "document"] = "image" if media_type.startswith("image/") else "document"
        return File(kind, media_type, base64.b64encode(data).decode())

    def _error(self, media: Media, why: str) -> ApiError:
        text = (
            f"The {_what(media)}{_at(media.url)} could not be fetched for this model, whose API takes data only: "
            f"{why}. Send its data in base64, or a URL of https that anyone may read."
        )
        return ApiError(Fault.FILE_NOT_FETCHED, text, param=self._param)


class Unfetched(Exception):
    """An upstream needs files as bytes, and nobody has asked for them yet."""

    def __init__(self, files: Files, missing: tuple[Media, ...]) -> None:
        super().__init__(f"{len(missing)} to fetch")
        self._files = files
        self._missing = missing

    async def fetch(self, due: float) -> None:
        """Ask for them, as `Files.fetch` does."""
        await self._files.fetch(self._missing, due)


def _everybodys_room() -> asyncio.Semaphore:
    loop = asyncio.get_running_loop()
    room = _rooms.get(loop)
    if room is None:
        room = _rooms[loop] = asyncio.Semaphore(MOST_AT_ONCE)
    return room


async def _read(url: str, budget: _Budget) -> bytes:
    """The body of what is at a URL. Raises _Bad, httpx.HTTPError."""
    for _ in range(MOST_REDIRECTS + 1):
        url = quote(url.partition("#")[0][: LONGEST + 1], safe=_IN_URLS, errors="replace")
        if len(url) > LONGEST:
            raise _Bad(f"its URL is longer than {LONGEST} characters")
        request = Outgoing("GET", url, _HEADERS, b"", Call(False, _TIMEOUTS, CallClock(), stranger=True))
        response = await transport.current().handle_async_request(request)
        try:
            if response.status_code not in _REDIRECTS:
                return await _body(response, budget)
            url = _joined(url, response.headers.get("location", ""))
        finally:
            await response.aclose()
    raise _Bad("it redirects too often")


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        raise _Bad("it redirects to what is no URL") from None


async def _body(response: httpx.Response, budget: _Budget) -> bytes:
    if response.status_code != 200:
        raise _Bad(f"it answered {response.status_code}")
    said = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if said not in _UNTOLD and said != "application/pdf" and not said.startswith("image/"):
        raise _Bad("it is no image or PDF")
    most = min(MOST_BYTES, budget.left)
    announced = response.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > most:
        raise _too_large()
    parts: list[bytes] = []
    size = 0
    whole = False
    try:
        async for part in response.stream:  # type: ignore[union-attr]  # async here
            parts.append(part)
            size += len(part)
            budget.left -= len(part)
            budget.hold(len(part))
            if size > MOST_BYTES or budget.left < 0:
                raise _too_large()
        whole = True
    finally:
        if not whole:
            budget.hold(-size)
    return b"".join(parts)


def _too_large() -> _Bad:
    mib = 1024 * 1024
    return _Bad(f"one may have {MOST_BYTES / mib:g} MiB, all of a request {settings.FETCH_MAX / mib:g} MiB")


def _why(problem: httpx.HTTPError) -> str:
    """In words that say nothing of any network: a name that nobody knows and a private address look the same."""
    if isinstance(problem, transport.EgressRefused | transport.NoAddress):
        return _PLACE
    if isinstance(problem, transport.TlsFailed):
        return "the certificate of its host could not be verified"
    if isinstance(problem, transport.BodyTooLarge):
        return str(_too_large())
    if isinstance(problem, httpx.TimeoutException):
        return "it did not come in time"
    return "its host cannot be reached" if isinstance(problem, httpx.ConnectError) else "its host hung up"


def _what(media: Media) -> str:
    return "image" if media.kind == "image" else "document"


def _at(url: str) -> str:
    """The host, as the caller said it: the rest of a URL may hold a secret."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return ""
    return f" at {host}" if host.isascii() and host.isprintable() and len(host) <= 253 else ""
