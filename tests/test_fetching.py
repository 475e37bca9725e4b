"""Files given by their URL: fetched for upstreams that take bytes only, once, and for nobody else."""

from __future__ import annotations

import json
import threading
import time

import pytest

from api import fetching
from tests.elsewhere import HOST, JPEG, PDF, PNG, SECRET, Handler, Place, found, in_base64

pytestmark = pytest.mark.django_db(transaction=True)


IMAGES = {
    "bedrock-converse": {"image": {"format": "png", "source": {"bytes": in_base64(PNG)}}},
    "ollama-native": [in_base64(PNG)],
    "google-vertex-anthropic": {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": in_base64(PNG)},
    },
    "google-generative-ai": {"inlineData": {"mimeType": "image/png", "data": in_base64(PNG)}},
    "google-vertex": {"inlineData": {"mimeType": "image/png", "data": in_base64(PNG)}},
}


def test_an_image_arrives_as_bytes_where_only_bytes_are_taken(place: Place) -> None:
    """Its type is that of its bytes: the URL's ending does not tell it, and the server says something else."""
    for family, part in IMAGES.items():
        place.model(family, name=family)
        url = place.server.put("/picture", PNG, "image/jpeg")
        answer = place.chat(url, model=family)
        assert answer.status_code == 200, answer.text
        assert answer.json()["choices"][0]["message"]["content"] == "seen"
        assert found(place.told, part), place.told
        assert SECRET not in json.dumps(place.told)
        path, headers = place.server.fetched.pop()
        assert path == f"/picture?X-Signature={SECRET}"
        assert headers.keys() == {"host", "accept", "accept-encoding", "user-agent"}, "nothing of the caller's, no key"
    assert not place.server.fetched


DOCUMENTS = {
    "bedrock-converse": {"format": "pdf", "source": {"bytes": in_base64(PDF)}, "name": "Document"},
    "openai-completions": {"file_data": f"data:application/pdf;base64,{in_base64(PDF)}", "filename": "document.pdf"},
    "azure-openai": {"file_data": f"data:application/pdf;base64,{in_base64(PDF)}", "filename": "document.pdf"},
    "google-vertex": {"mimeType": "application/pdf", "data": in_base64(PDF)},
}


def test_a_document_arrives_as_bytes(place: Place) -> None:
    for family, part in DOCUMENTS.items():
        place.model(family, name=family)
        answer = place.messages("document", place.server.put("/paper", PDF, "application/octet-stream"), family)
        assert answer.status_code == 200, answer.text
        assert found(place.told, part), place.told


def test_claudes_own_clients_reach_claude_at_google(place: Place) -> None:
    """The same dialect, at a host that takes less of it."""
    place.model("google-vertex-anthropic")
    for kind, data in (("image", PNG), ("document", PDF)):
        assert place.messages(kind, place.server.put(f"/{kind}", data, "")).status_code == 200
        assert found(place.told, in_base64(data))
    place.http.post("/v1/messages", json={"model": "m", "max_tokens": 9, "messages": [], "future": {"type": "text"}})
    assert place.told["future"] == {"type": "text"}, "a request without a URL is relayed as it is"


def test_what_a_tool_shows_is_fetched_too(place: Place) -> None:
    place.model("bedrock-converse")
    shown = {"type": "image", "source": {"type": "url", "url": place.server.put("/shot", JPEG, "image/jpeg")}}
    said = [
        {"role": "user", "content": "Look."},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "look", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": [shown]}]},
    ]
    tools = [{"name": "look", "input_schema": {"type": "object"}}]
    body = {"model": "m", "max_tokens": 9, "messages": said, "tools": tools}
    assert place.http.post("/v1/messages", json=body).status_code == 200
    assert found(place.told, {"image": {"format": "jpeg", "source": {"bytes": in_base64(JPEG)}}})


def test_who_reads_urls_is_given_the_url(place: Place) -> None:
    url = f"{HOST}/nobody/asks.png?{SECRET}"
    for family in ("anthropic-messages", "openai-responses", "cohere-chat", "openai-completions"):
        place.model(family, name=family)
        assert place.chat(url, model=family).status_code == 200
        assert url in json.dumps(place.told)
    assert not place.server.fetched


def test_gemini_reads_urls_whose_type_is_known_itself(place: Place) -> None:
    """By its name or by the client's word; models before 2.5 read none."""
    place.model("google-generative-ai", upstream="gemini-3-flash")
    place.model("google-generative-ai", upstream="gemini-2.0-flash", name="old")
    url = place.server.put("/a.png", PNG, "image/png")
    assert place.chat(url).status_code == 200
    assert found(place.told, {"fileUri": url, "mimeType": "image/png"}) and not place.server.fetched
    assert place.chat(url, model="old").status_code == 200
    assert found(place.told, in_base64(PNG)) and len(place.server.fetched) == 1


def test_gitlab_reads_no_images_and_none_are_fetched(place: Place) -> None:
    place.model("gitlab-duo")
    answer = place.chat(f"{HOST}/a.png")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unsupported_parameter")
    assert not place.server.fetched and not place.server.asked


def test_a_route_may_say_that_its_upstream_takes_bytes_only(place: Place) -> None:
    place.model("openai-completions", inline=["image"])
    assert place.messages("image", place.server.put("/a.png", PNG, "image/png")).status_code == 200
    assert found(place.told, {"url": f"data:image/png;base64,{in_base64(PNG)}"})


def test_each_url_is_asked_for_once(place: Place) -> None:
    """However often the request says it, and whichever upstream it falls back to."""
    place.model("bedrock-converse", "ollama-native", "google-vertex-anthropic")
    place.server.broken |= {"bedrock-converse", "ollama-native"}
    url, other = place.server.put("/a", PNG, "image/png"), place.server.put("/b", JPEG, "image/jpeg")
    answer = place.chat(url, other, url)
    assert answer.status_code == 200 and answer.headers["x-jackfield-attempts"] == "3"
    assert [family for family, _ in place.server.asked] == [
        "bedrock-converse",
        "ollama-native",
        "google-vertex-anthropic",
    ]
    assert sorted(path.partition("?")[0] for path, _ in place.server.fetched) == ["/a", "/b"]
    for _, body in place.server.asked:
        assert json.dumps(body).count(in_base64(PNG)) == 2 and json.dumps(body).count(in_base64(JPEG)) == 1


def test_files_that_come_late_make_no_place_late(place: Place) -> None:
    """A hedged model's second place is asked where the first does not begin to answer, and that is asked afterwards."""
    place.model("bedrock-converse", "ollama-native", hedge_after="50 ms", hedge_daily=9)
    url = place.server.put("/a", PNG, "image/png")
    answer = place.server.files["/a"]

    def late(handler: Handler) -> None:
        time.sleep(0.5)
        answer(handler)

    place.server.files["/a"] = late
    told = place.chat(url)
    assert (told.status_code, told.headers["x-jackfield-attempts"]) == (200, "1"), told.text
    assert [family for family, _ in place.server.asked] == ["bedrock-converse"] and len(place.server.fetched) == 1


def test_another_route_is_tried_that_reads_the_url_itself(place: Place) -> None:
    place.model("bedrock-converse", "anthropic-messages")
    url = place.server.put("/a.png", b"", "image/png", 403)
    answer = place.chat(url)
    assert answer.status_code == 200
    assert [family for family, _ in place.server.asked] == ["anthropic-messages"] and url in json.dumps(place.told)


def test_redirects_are_followed(place: Place) -> None:
    place.model("ollama-native")
    place.server.put("/end", PNG, "image/png")
    place.server.put("/next", b"", status=307, location="/end")
    assert place.chat(place.server.put("/start", b"", status=302, location=f"{HOST}/next")).status_code == 200
    assert [path.partition("?")[0] for path, _ in place.server.fetched] == ["/start", "/next", "/end"]


def test_every_client_may_give_a_url(place: Place) -> None:
    """OpenAI's Responses and Google's clients too, whose words for a file do not always say what it is."""
    place.model("bedrock-converse", upstream="anthropic.claude-sonnet-4-5-20250929-v1:0")
    paper, picture = place.server.put("/paper", PDF, "application/pdf"), place.server.put("/picture", PNG, "")
    shown = [{"type": "input_file", "file_url": paper}, {"type": "input_image", "image_url": picture}]
    body = {"model": "m", "input": [{"role": "user", "content": [{"type": "input_text", "text": "Read."}, *shown]}]}
    answer = place.http.post("/v1/responses", json=body)
    assert answer.status_code == 200, answer.text
    assert found(place.told, in_base64(PDF)) and found(place.told, in_base64(PNG))
    parts = [{"text": "Read."}, *({"fileData": {"fileUri": url}} for url in (paper, picture))]
    google = {"contents": [{"role": "user", "parts": parts}]}
    answer = place.http.post("/v1beta/models/m:generateContent", json=google)
    assert answer.status_code == 200, answer.text
    assert found(place.told, in_base64(PDF)) and found(place.told, IMAGES["bedrock-converse"])
    gone = place.server.put("/paper", b"", status=410)
    body["input"][0]["content"][1]["file_url"] = gone  # type: ignore[index]  # of the body above
    refused = place.http.post("/v1/responses", json=body)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "input")


def test_tokens_are_counted_with_the_files(place: Place) -> None:
    place.model("bedrock-converse", upstream="anthropic.claude-3-5-haiku-20241022-v1:0")
    part = {"type": "image", "source": {"type": "url", "url": place.server.put("/a", PNG, "image/png")}}
    said = [{"role": "user", "content": [part]}]
    answer = place.http.post("/v1/messages/count_tokens", json={"model": "m", "messages": said})
    assert answer.json() == {"input_tokens": 5}, answer.text
    assert in_base64(PNG) in json.dumps(place.told) and len(place.server.fetched) == 1


def test_some_files_of_a_request_are_asked_for_at_once(place: Place) -> None:
    place.model("ollama-native")
    together = threading.Barrier(fetching.AT_ONCE)
    inside: list[int] = []

    def waits(path: str) -> str:
        url = place.server.put(path, PNG, "image/png")
        answer = place.server.files[path]

        def late(handler: Handler) -> None:
            inside.append(1)
            most.append(len(inside))
            together.wait(20)
            inside.pop()
            answer(handler)

        place.server.files[path] = late
        return url

    most: list[int] = []
    assert place.chat(*(waits(f"/{number}") for number in range(2 * fetching.AT_ONCE))).status_code == 200
    assert max(most) == fetching.AT_ONCE
