"""Server-sent events: the same events however the stream is cut, every byte kept, lengths bounded (R-REL-07)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.dialects.sse import Event, EventTooLong, Splitter


def events(stream: bytes, cuts: list[int] | None = None) -> list[Event]:
    splitter, found, start = Splitter(), [], 0
    for cut in [*sorted(cuts or []), len(stream)]:
        found += splitter.feed(stream[start:cut])
        start = max(start, cut)
    return found + splitter.close()


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: a\n\n", [(None, b"a")]),
        (b"data:a\n\n", [(None, b"a")]),
        (b"data:  a\n\n", [(None, b" a")]),
        (b"data: a\n\ndata: b\n\n", [(None, b"a"), (None, b"b")]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [(None, b"a"), (None, b"b")]),
        (b"data: a\r\rdata: b\r\r", [(None, b"a"), (None, b"b")]),
        (b"data: a\r\n\ndata: b\n\r\n", [(None, b"a"), (None, b"b")]),
        (b"data: a\r\ndata: b\r\n\r\n", [(None, b"a\nb")]),
        (b"data: a\n\r\ndata: b\r\n\r\n", [(None, b"a"), (None, b"b")]),
        (b"event: x\ndata: a\n\n", [("x", b"a")]),
        (b"data: a\nevent: x\n\n", [("x", b"a")]),
        (b"data: a\ndata: b\ndata\n\n", [(None, b"a\nb\n")]),
        (b": comment\n\n", [(None, None)]),
        (b": comment\ndata: a\n\n", [(None, b"a")]),
        (b"\xef\xbb\xbfdata: a\n\n", [(None, b"a")]),
        (b"id: 4\nretry: 9\n\n", [(None, None)]),
        (b"datax: a\n\n", [(None, None)]),
        (b"data: a", [(None, b"a")]),
        (b"data: a\n", [(None, b"a")]),
        (b"data: a\r\n", [(None, b"a")]),
        (b"data: a\r\n\r", [(None, b"a")]),
        (b"", []),
        (b"\n", []),
        (b"data: \xc3\xa9\n\n", [(None, "é".encode())]),
    ],
)
def test_events(stream, expected):
    for cuts in ([], list(range(len(stream)))):
        assert [(event.name, event.data) for event in events(stream, cuts)] == expected


lines = st.sampled_from(
    [b"data: {}", b"data:x", b"event: e", b": c", b"", b"", b"id: 1", b"data", "data: é€".encode(), b"\xef\xbb\xbf"]
)
ends = st.sampled_from([b"\n", b"\n", b"\n\n", b"\r\n", b"\r", b"\r\n\r\n"])
streams = st.lists(st.tuples(lines, ends), max_size=12).map(lambda found: b"".join(a + b for a, b in found))


@given(streams | st.binary(max_size=40), st.lists(st.integers(0, 200), max_size=8))
def test_any_cut_gives_the_same_events_and_no_byte_is_lost(stream, cuts):
    cuts = [cut for cut in cuts if cut <= len(stream)]
    whole = events(stream)
    assert events(stream, cuts) == whole
    assert events(stream, list(range(len(stream)))) == whole
    joined = b"".join(event.raw for event in whole)
    assert joined.rstrip(b"\r\n") == stream.rstrip(b"\r\n")
    for event in whole:
        if event.at >= 0:
            assert event.raw[event.at : event.at + len(event.data)] == event.data


@given(streams, st.booleans())
def test_line_ends_do_not_change_events(stream, crlf):
    stream = stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    other = stream.replace(b"\n", b"\r\n" if crlf else b"\r")

    def said(found):
        return [(event.name, event.data) for event in found if event.data is not None]

    assert said(events(other)) == said(events(stream))


@pytest.mark.parametrize("size", [1000, 65_536])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_line_is_bounded(size, end):
    fits = b"data: " + b"x" * 9_000 + end * 2
    splitter = Splitter(max_event=50_000, max_line=10_000)
    assert len(splitter.feed(fits)) == 1
    splitter.feed(b": c" + end * 2)
    with pytest.raises(EventTooLong):
        for _ in range(200):
            splitter.feed(b"x" * size)


def test_an_event_is_bounded():
    splitter = Splitter(max_event=50_000, max_line=10_000)
    with pytest.raises(EventTooLong):
        for _ in range(100):
            splitter.feed(b"data: " + b"x" * 1000 + b"\n")


def test_a_long_line_in_one_chunk_is_refused():
    for end in (b"\n\n", b"\r\n\r\n"):
        with pytest.raises(EventTooLong):
            Splitter(max_line=100).feed(b"data: " + b"x" * 200 + end)


def test_many_events_in_one_chunk_are_not_one_long_line():
    assert len(Splitter(max_line=100, max_event=200).feed(b"data: x\n\n" * 1000)) == 1000
    assert len(Splitter(max_line=100, max_event=200).feed(b"data: x\r\n\r\n" * 1000)) == 1000


def test_byte_by_byte_is_linear():
    """A megabyte in single bytes: quadratic copying would take minutes."""
    splitter = Splitter()
    for _ in range(1_000_000):
        splitter.feed(b"x")
    assert splitter.feed(b"\n\n")[0].data is None
