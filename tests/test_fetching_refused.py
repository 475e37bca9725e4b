"""Files given by their URL: what is not fetched or not passed on, and how little is said of it."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from api import fetching
from providers import transport
from tests.elsewhere import HOST, PDF, PNG, SECRET, Handler, Place

pytestmark = pytest.mark.django_db(transaction=True)


def _refused(place: Place, url: str) -> str:
    """The message of a refusal that names what is at fault, and no upstream was asked."""
    answer = place.chat(url)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "file_not_fetched", "messages"), error
    assert answer.headers["x-jackfield-attempts"] == "0" and not place.server.asked
    assert SECRET not in answer.text and "base64" in error["message"]
    return str(error["message"])


def test_only_public_places_are_asked(place: Place) -> None:
    """A name that nobody knows and one of the own network look the same, and no address is told."""
    place.model("bedrock-converse")
    for url in (
        "https://127.0.0.1/a.png",
        "https://169.254.169.254/latest/meta-data",
        "https://inside.example/a.png",
        "https://nobody.example/a.png",
        "https://files.example:8443/a.png",
        "https://user:pass@files.example.org/a.png",
        "http://files.example/a.png",
        "https://[::1]/a.png",
        "https://[/a.png",
        "https://[#a",
    ):
        said = _refused(place, url)
        assert "port 443 of a host with public addresses" in said and "10.1.2.3" not in said and "pass" not in said
    assert not place.server.fetched


def test_a_redirect_is_checked_as_the_url_was(place: Place) -> None:
    place.model("bedrock-converse")
    place.server.put("/end", PNG, "image/png")
    inside = ("https://127.0.0.1/admin", "https://inside.example/", "http://files.example/end", "file:///x")
    for to in (*inside, "https://[", ""):
        said = _refused(place, place.server.put("/start", b"", status=302, location=to))
        assert "inside" not in said and "127.0.0.1" not in said and "10.1.2.3" not in said
        assert ("public addresses" in said) == (to in inside)
    assert {path.partition("?")[0] for path, _ in place.server.fetched} == {"/start"}


def test_redirects_end(place: Place) -> None:
    place.model("bedrock-converse")
    assert "redirects too often" in _refused(place, place.server.put("/a", b"", status=301, location="/a"))
    assert len(place.server.fetched) == fetching.MOST_REDIRECTS + 1


def test_only_images_and_papers_are_passed_on(place: Place) -> None:
    place.model("bedrock-converse")
    for body, kind, status, said in (
        (b"<html>internal words", "text/html", 200, "no image or PDF"),
        (b"<html>internal words", "image/png", 200, "no image or PDF"),
        (PNG, "application/json", 200, "no image or PDF"),
        (PDF, "application/pdf", 200, "it is no image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml", 200, "no image or PDF"),
        (b"", "image/png", 200, "no image or PDF"),
        (b"internal words", "text/plain", 404, "it answered 404"),
        (b"internal words", "text/plain", 500, "it answered 500"),
    ):
        message = _refused(place, place.server.put("/x", body, kind, status))
        assert said in message and "internal" not in message and "files.example" in message


def test_sizes_and_numbers_are_bounded(place: Place, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    place.model("bedrock-converse")
    monkeypatch.setattr(fetching, "MOST_BYTES", 100)
    settings.FETCH_MAX = 150
    assert "one may have" in _refused(place, place.server.put("/announced", PNG * 9, "image/png"))

    def endless(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("content-type", "image/png")
        handler.send_header("connection", "close")
        handler.end_headers()
        try:
            while not place.server.released.is_set():
                handler.wfile.write(PNG * 99)
        except OSError:
            handler.close_connection = True

    place.server.files["/endless"] = endless
    assert "one may have" in _refused(place, f"{HOST}/endless")
    small = [place.server.put(f"/{number}", PNG, "image/png") for number in range(3)]
    assert place.chat(*small[:2]).status_code == 200
    assert place.chat(*small).json()["error"]["code"] == "file_not_fetched"
    place.server.fetched.clear()
    many = place.chat(*(f"{HOST}/{number}" for number in range(fetching.MOST_FILES + 1)))
    assert many.status_code == 400 and "at most 20 files" in many.json()["error"]["message"]
    assert not place.server.fetched


def test_what_does_not_come_is_not_waited_for(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.model("bedrock-converse")
    place.server.files["/slow"] = lambda handler: place.server.released.wait(30)
    monkeypatch.setattr(fetching, "PATIENCE", 0.3)
    assert "did not come in time" in _refused(place, f"{HOST}/slow")
    place.server.released.set()


def test_files_of_many_requests_wait_for_room(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who gets none in time is not at fault."""
    place.model("bedrock-converse")
    monkeypatch.setattr(fetching, "PATIENCE", 0.2)
    monkeypatch.setattr(fetching, "MOST_AT_ONCE", 0)
    fetching._rooms.clear()
    answer = place.chat(place.server.put("/a", PNG, "image/png"))
    fetching._rooms.clear()
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "gateway_overloaded")
    assert not place.server.fetched


def test_it_can_be_switched_off(place: Place, settings: Any) -> None:
    settings.FETCH_MAX = 0
    place.model("bedrock-converse")
    answer = place.chat(place.server.put("/a", PNG, "image/png"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unsupported_parameter")
    assert "base64" in answer.json()["error"]["message"] and not place.server.fetched


def test_urls_are_logged_nowhere(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """The secret of a signed URL is the caller's: no log at its finest, no journal and no answer holds it."""
    from api.drain import drain
    from api.models import UsageRecord

    caplog.set_level(logging.DEBUG)
    place.model("bedrock-converse")
    urls = [
        place.server.put("/a", PNG, "image/png"),
        place.server.put("/b", b"no", "text/html"),
        place.server.put("/c", b"", status=302, location=f"https://inside.example/?{SECRET}"),
        f"https://nobody.example/?{SECRET}",
    ]
    answers = [place.chat(url) for url in urls]
    assert [answer.status_code for answer in answers] == [200, 400, 400, 400]
    drain()
    rows = repr([vars(row) for row in UsageRecord.objects.all()])
    headers = "".join(f"{answer.headers} {answer.text}" for answer in answers)
    assert "~Zq7" not in caplog.text + rows + headers


def test_requests_together_hold_so_much_and_no_more(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small request brings in large files: many at once are put off, and what was held is given back."""
    place.model("bedrock-converse")
    others = fetching.MOST_HELD - len(PNG) * 3 // 2
    monkeypatch.setattr(fetching._Budget, "held_by_all", others)
    url, other = place.server.put("/a", PNG, "image/png"), place.server.put("/b", PNG, "image/png")
    for _ in range(3):
        assert place.chat(url).status_code == 200
    refused = place.chat(url, other)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "gateway_overloaded")
    assert refused.headers["retry-after"] == "1" and fetching._Budget.held_by_all == others
    place.server.put("/gone", PNG, "image/png", 404)
    late = place.chat(f"{HOST}/gone", url)
    assert late.status_code == 400 and fetching._Budget.held_by_all == others


def test_a_url_is_no_place_for_megabytes(place: Place) -> None:
    """Nor is it remembered anywhere."""
    place.model("bedrock-converse")
    known = transport._refusal.cache_info().currsize
    assert "longer than 8192 characters" in _refused(place, f"https://nobody.example/{'x' * 1_000_000}.png")
    assert "longer than 8192 characters" in _refused(place, f"https://nobody.example/{'é' * 8000}.png")
    assert "public addresses" in _refused(place, f"https://nobody.example/{'x' * 4000}.png")
    assert transport._refusal.cache_info().currsize == known


def test_a_file_that_is_shown_again_and_again_counts_each_time(place: Place, settings: Any) -> None:
    """It is asked for once, and would be written many times."""
    place.model("bedrock-converse")
    settings.FETCH_MAX = len(PNG) * 5 // 2
    url = place.server.put("/a", PNG, "image/png")
    assert place.chat(url, url).status_code == 200
    place.server.asked.clear()
    refused = place.chat(*[url] * 3)
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["param"]) == (400, "file_not_fetched", "messages"), error
    shown = [{"type": "image", "source": {"type": "url", "url": url}}]
    others = [{"type": "document", "source": {"type": "url", "url": url}, "title": "same"}] * 2
    said = [{"role": "user", "content": shown + others}]
    refused = place.http.post("/v1/messages", json={"model": "m", "max_tokens": 9, "messages": said})
    assert refused.status_code == 400 and not place.server.asked
