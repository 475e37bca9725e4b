"""Body guards: one valid object, distinct keys, bounded; an edit changes its member and no other byte."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.dialects.jsonio import MAX_DEPTH, BadBody, quote, read_object

JUST_FITS = b'{"a":' * (MAX_DEPTH - 1) + b"[]" + b"}" * (MAX_DEPTH - 1)


def code_of(body: bytes) -> str | None:
    try:
        read_object(body)
    except BadBody as bad:
        return bad.code
    return None


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b'{"a":1}x', "invalid_json"),
        (b'{"a":1,}', "invalid_json"),
        (b"{'a':1}", "invalid_json"),
        (b'{"a":NaN}', "invalid_json"),
        (b'{"a":Infinity}', "invalid_json"),
        (b'{"a":-Infinity}', "invalid_json"),
        (b'{"a":[NaN]}', "invalid_json"),
        (b'{"a":01}', "invalid_json"),
        (b'{"a":"\n"}', "invalid_json"),
        (b'{"a":"\\q"}', "invalid_json"),
        (b'{"a":"\\ud800"}', "invalid_json"),
        (b'{"a":"\\ud800x"}', "invalid_json"),
        (b'{"a":1}\x00', "invalid_json"),
        (b'\xef\xbb\xbf{"a":1}', "invalid_json"),
        (b"[]", "not_an_object"),
        (b"null", "not_an_object"),
        (b'"text"', "not_an_object"),
        (b"7", "not_an_object"),
        (b'{"a":"\xff"}', "not_utf8"),
        (b'{"\xff":1}', "not_utf8"),
        (b'{"a":[{"b":"\xc3"}]}', "not_utf8"),
        (b'{"a":"\xed\xa0\x80"}', "not_utf8"),
        (b'{"a":"\xc0\xaf"}', "not_utf8"),
        ('{"a":1}'.encode("utf-16"), "invalid_json"),
        (b'{"a":1,"a":2}', "duplicate_key"),
        (b'{"a":1,"a":1}', "duplicate_key"),
        (b'{"a":1, "a":1}', "duplicate_key"),
        (b'{"a":1,"b":2,"a":3}', "duplicate_key"),
        (b'{"a":1,"\\u0061":2}', "duplicate_key"),
        (b'{"model":"x","messages":[],"mod\\u0065l":"y"}', "duplicate_key"),
        (b'{ "a" : 1 , "a" : 12 }', "duplicate_key"),
        (b'{"a":12,"a":1}', "duplicate_key"),
        (b'{"a":"x\\",\\"b\\":1","b":2,"a":"x"}', "duplicate_key"),
        (b'{"":1,"":1}', "duplicate_key"),
        (b'{"a":' + JUST_FITS + b"}", "too_deep"),
        (b'{"a":' + b"[" * 64 + b"]" * 64 + b"}", "too_deep"),
        (b'{"a":' + b'[{"b":' * 32 + b"1" + b"}]" * 32 + b"}", "too_deep"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too_deep"),
        (b'{"a":' + b"1" * 65 + b"}", "number_too_long"),
        (b'{"a":[-' + b"9" * 5000 + b"]}", "number_too_long"),
        (b'{"a":0.' + b"1" * 65 + b"}", "number_too_long"),
        (b'{"a":["x",1e' + b"1" * 65 + b"]}", "number_too_long"),
        (b'{"a":[' + b"1," * 1_000_000 + b"1]}", "too_many_nodes"),
        (b'{"a":[' + b"[]," * 600_000 + b"1]}", "too_many_nodes"),
    ],
    ids=lambda value: value[:24].decode("latin-1") if isinstance(value, bytes) else value,
)
def test_refused(body, code):
    assert code_of(body) == code


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b" {} ",
        b'{"a":1}',
        b'\n{ "a" : [ 1 , 2 ] }\t',
        JUST_FITS,
        b'{"a":"' + b"[" * 200 + b'"}',
        b'{"a":"' + b'\\"[' * 200 + b'"}',
        b'{"a":"' + b"\\\\" * 99 + b'","b":"' + b"{" * 99 + b'"}',
        b'{"a":[' + b"{}," * 200 + b"{}]}",
        b'{"a":"' + b"7" * 500 + b'"}',
        b'{"a":"\\"' + b"7" * 500 + b'"}',
        b'{"' + b"7" * 500 + b'":1}',
        b'{"a":' + b"1" * 64 + b"}",
        b'{"a":{"b":1,"b":2}}',
        b'{"a":"' + b"," * 1_100_000 + b'"}',
        '{"ä":"\U0001f600"}'.encode(),
        b'{"a":"\\ud83d\\ude00"}',
        b'{"a":1e999}',
    ],
    ids=lambda body: body[:24].decode("latin-1"),
)
def test_taken(body):
    assert code_of(body) is None
    assert read_object(body).body() == body


def test_top_level_members_are_bounded():
    def body(count: int) -> bytes:
        return json.dumps({f"m{n}": n for n in range(count)}).encode()

    assert code_of(body(1024)) is None
    assert code_of(body(1025)) == "too_many_nodes"


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":[' + b"[]," * 300_000 + b"1]}",
        b'{"a":[' + (b"[" * 60 + b"]" * 60 + b",") * 5_000 + b"1]}",
        b'{"a":"' + (b"7" * 64 + b"x") * 20_000 + b'"}',
        b'{"a":"' + b'\\"' * 250_000 + b'"}',
        b'{"' + b"k" * 1_000_000 + b'" :1}',
        b'{"' + b"\\u0041" * 160_000 + b'" :1}',
        b'{"a" :"' + b"[{" * 500_000 + b'"}',
        b"{" + b" " * 1_000_000 + b"}",
        b'{"a":' + b" " * 1_000_000 + b"1}",
        b"{" + b",".join(b'"%d":1' % n for n in range(90_000)) + b"}",
    ],
    ids=lambda body: body[:16].decode(),
)
def test_no_body_of_a_megabyte_costs_more_than_a_few_milliseconds(body):
    """A hostile body costs at most ten times what a benign one of its size costs (R-REL, parsers)."""
    benign = b'{"messages":[' + b'{"role":"user","content":"hello world"},' * 25_000 + b"1]}"

    def cost(of: bytes) -> float:
        best = 9.0
        for _ in range(3):
            start = time.process_time()
            code_of(of)
            best = min(best, time.process_time() - start)
        return best

    assert cost(body) < 10 * cost(benign) + 0.005


def test_every_depth_is_told_apart():
    for depth in range(1, 70):
        for opening, closing in ((b"[", b"]"), (b'{"x":', b"}")):
            body = b'{"text":"[[[{{{","a":' + opening * (depth - 1) + b"1" + closing * (depth - 1) + b"}"
            assert (code_of(body) is None) == (depth <= MAX_DEPTH)


def test_every_place_of_a_long_number_is_found():
    for at in range(0, 130):
        assert code_of(b'{"p":"' + b"x" * at + b'","a":' + b"8" * 65 + b"}") == "number_too_long"
        assert code_of(b'{"p":"' + b"x" * at + b'","a":' + b"8" * 64 + b"}") is None


def test_members_are_read_as_they_came():
    fields = read_object(b'{"model":"m\\u00e9","n": [1, 2],"s":true,"f":false,"z":null}')
    assert fields.get("n") == b"[1, 2]"
    assert fields.get("absent") is None
    assert fields.text("model") == "mé"
    assert (fields.text("n"), fields.text("z"), fields.text("absent")) == (None, None, None)
    assert (fields.flag("s"), fields.flag("f"), fields.flag("z"), fields.flag("absent")) == (True, False, None, None)
    assert list(fields) == ["model", "n", "s", "f", "z"]
    assert "n" in fields and "absent" not in fields


@pytest.mark.parametrize(
    ("body", "edits", "expected"),
    [
        (b'{"a":1,"b":2}', {"a": b"9"}, b'{"a":9,"b":2}'),
        (b'{ "a" : 1 ,\n "b" : 2 }', {"b": b"9"}, b'{ "a" : 1 ,\n "b" : 9 }'),
        (b'{"a":1}', {"c": b"9"}, b'{"a":1,"c":9}'),
        (b"{}", {"c": b"9"}, b'{"c":9}'),
        (b'{"a": 1, "b": 2, "c": 3}', {"b": None}, b'{"a": 1, "c": 3}'),
        (b'{"a": 1, "b": 2, "c": 3}', {"a": None}, b'{"b": 2, "c": 3}'),
        (b'{"a": 1, "b": 2, "c": 3}', {"c": None}, b'{"a": 1, "b": 2}'),
        (b'{"a": 1, "b": 2, "c": 3}', {"a": None, "b": None}, b'{"c": 3}'),
        (b'{"a": 1, "b": 2}', {"a": None, "b": None}, b"{}"),
        (b'{"a": 1, "b": 2}', {"a": None, "b": None, "c": b"3"}, b'{"c":3}'),
        (b'{"a": 1, "b": 2}', {"b": None, "c": b"3"}, b'{"a": 1,"c":3}'),
        (b'{"a": 1, "b": 2 , "d": 4 } ', {"b": None, "d": None, "c": b"3"}, b'{"a": 1,"c":3 } '),
        (b'{"a":1,"b":2}', {"absent": None}, b'{"a":1,"b":2}'),
        (b'{"a":"}","b":2}  ', {"c": b'"}"'}, b'{"a":"}","b":2,"c":"}"}  '),
    ],
)
def test_edits(body, edits, expected):
    fields = read_object(body)
    for name, raw in edits.items():
        if raw is None:
            fields.remove(name)
        else:
            fields.set(name, raw)
    assert fields.body() == expected


names = st.text(max_size=5) | st.sampled_from(["model", "a", "messages", "stream"])
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4), max_leaves=15
)
spaces = st.text(alphabet=" \t\r\n", max_size=3)


@st.composite
def objects(draw) -> tuple[bytes, list[tuple[str, object]]]:
    """The text of an object, spaced and escaped at random, and its members; keys may come twice."""
    members = draw(st.lists(st.tuples(names, values), max_size=6))
    parts = []
    for name, value in members:
        key = json.dumps(name, ensure_ascii=draw(st.booleans()))
        if name and draw(st.booleans()) and ord(name[0]) < 0x10000:
            key = f'"\\u{ord(name[0]):04x}{json.dumps(name[1:])[1:]}'
        text = json.dumps(value, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 1])))
        parts.append(draw(spaces) + key + draw(spaces) + ":" + draw(spaces) + text + draw(spaces))
    body = draw(spaces) + "{" + (",".join(parts) or draw(spaces)) + "}" + draw(spaces)
    return body.encode("utf-8", "surrogatepass"), members


@given(objects())
def test_any_object_is_read_as_a_reference_parser_reads_it(drawn):
    body, members = drawn
    try:
        pairs = json.loads(body.decode("utf-8"), object_pairs_hook=lambda found: found)
    except UnicodeDecodeError:
        assert code_of(body) is not None
        return
    if len({name for name, _ in pairs}) < len(pairs):
        assert code_of(body) == "duplicate_key"
        return
    fields = read_object(body)
    assert {name: json.loads(fields.get(name)) for name in fields} == dict(members)


@given(objects(), names, values)
def test_an_edit_changes_one_member_and_no_other_byte(drawn, name, value):
    body, members = drawn
    if code_of(body) is not None:
        return
    raw = json.dumps(value).encode()
    fields = read_object(body)
    old = fields.get(name)
    new = fields.replace(name, raw)
    assert json.loads(new) == {**dict(members), name: value}
    if old is not None:
        cut = next((at for at in range(len(body)) if body[:at] + raw + body[at + len(old) :] == new), None)
        assert cut is not None and body[cut : cut + len(old)] == old
    fields.remove(name)
    rest = {key: item for key, item in members if key != name}
    assert json.loads(fields.body()) == rest
    assert list(json.loads(fields.body())) == list(rest)


@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:\\ 0123456789aeu\n', max_size=40).map(str.encode))
def test_any_bytes_are_taken_or_refused_with_a_code(body):
    if code_of(body) is None:
        assert isinstance(json.loads(body), dict)


@given(st.text())
def test_a_quoted_text_is_read_back(text):
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    assert json.loads(quote(text)) == text
