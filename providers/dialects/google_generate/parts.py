"""The parts of a message, as they stand in requests and in answers alike. Pure.

Proofs of another dialect travel through a client as base64 of their frame, because the official SDKs take
`thoughtSignature` for bytes and would change anything else.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from providers.dialects.canon import Media, Misfit, Text, Thinking, ToolCall
from providers.dialects.google_generate.members import below, decoded, encoded, is_base64, standard_base64, text
from providers.dialects.google_generate.words import NAME
from providers.dialects.media_types import type_by_ending, type_of_base64
from providers.dialects.signatures import framed, unframed
from providers.dialects.values import object_in

Kind = Literal["image", "audio", "video", "document"]

#: Members of a part that say something about its media and are nothing by themselves.
BESIDE: Final[tuple[str, ...]] = (
    "thought",
    "thoughtSignature",
    "videoMetadata",
    "mediaResolution",
    "mediaProcessing",
    "partMetadata",
    "audioMetadata",
    "documentMetadata",
    "spreadsheetMetadata",
    "audioTranscription",
)
_FRAME: Final = "jf1:"
#: Stands where a frame has the id of its item: nothing of the thought is readable.
_REDACTED: Final = "redacted"
_USUAL: Final[dict[str, str]] = {
    "image": "image/jpeg",
    "audio": "audio/wav",
    "video": "video/mp4",
    "document": "application/pdf",
}
_KINDS: Final[dict[str, Kind]] = {"image": "image", "audio": "audio", "video": "video"}
_OWN_FILES: Final = ("https://generativelanguage.googleapis.com/", "gs://", "files/")
_FILMS: Final = ("https://www.youtube.com/", "https://youtube.com/", "https://youtu.be/", "https://m.youtube.com/")


# --- proofs ----------------------------------------------------------------------------------------------------------


def proof_of(part: dict[str, Any]) -> tuple[str, str, str]:
    """(signature, signer, item id) of a part."""
    signature = part.get("thoughtSignature")
    if not isinstance(signature, str) or not signature:
        return "", "", ""
    plain = decoded(signature) if signature.startswith("amYx") else ""
    return unframed(plain, NAME) if plain.startswith(_FRAME) else (signature, NAME, "")


def proof_for(signature: str, signer: str, item: str = "") -> str:
    """`thoughtSignature` for a proof of whatever dialect."""
    frame = framed(signature, signer, NAME, item)
    return frame if frame == signature else encoded(frame)


# --- words and thoughts ----------------------------------------------------------------------------------------------


def said(part: dict[str, Any]) -> Text | Thinking:
    """A part with `text`."""
    words, (signature, signer, item) = text(part, "text"), proof_of(part)
    if part.get("thought") is not True:
        return Text(words, signature=signature, signer=signer)
    redacted = item == _REDACTED
    return Thinking(words, signature, signer, redacted, "" if redacted else item)


def words_part(words: str, part: Text | Thinking) -> dict[str, Any]:
    """Some of the words of a text or a thought, without its proof."""
    return {"text": words, "thought": True} if isinstance(part, Thinking) else {"text": words}


def proof(part: Text | Thinking | ToolCall, signature: str, signer: str) -> dict[str, str]:
    """The member that holds a part's proof, if there is any."""
    if not signature:
        return {}
    item = (_REDACTED if part.redacted else part.id) if isinstance(part, Thinking) else ""
    return {"thoughtSignature": proof_for(signature, signer, item)}


# --- function calls --------------------------------------------------------------------------------------------------


def arguments_of(call: dict[str, Any], param: str) -> str:
    """The arguments of a function call as JSON text."""
    args = call.get("args")
    if args is None:
        return "{}"
    if not isinstance(args, dict):
        raise Misfit(f"{param}.args must be an object.", f"{param}.args")
    return msgspec.json.encode(args).decode()


def call_part(call: ToolCall, arguments: str) -> dict[str, Any]:
    """A function call, whole. What is no JSON object stands under `input`: `args` can be nothing else."""
    made: dict[str, Any] = {"name": call.name, "args": object_of(arguments, "input")}
    if call.id:
        made["id"] = call.id
    return {"functionCall": made}


def object_of(json: str, otherwise: str) -> dict[str, Any]:
    """The JSON object that a text is, or one with the text as its member `otherwise`."""
    if not json.strip():
        return {}
    found = object_in(json)
    return {otherwise: json} if found is None else found


# --- media -----------------------------------------------------------------------------------------------------------


def media_of(part: dict[str, Any], param: str) -> Media:
    """A part with `inlineData` or `fileData`."""
    beside = {name: part[name] for name in BESIDE if name in part}
    blob = below(part, "inlineData", param)
    if blob is not None:
        media_type = text(blob, "mimeType", f"{param}.inlineData")
        data = text(blob, "data", f"{param}.inlineData")
        name = text(blob, "displayName", f"{param}.inlineData")
        return Media(_kind(media_type), data=standard_base64(data), media_type=media_type, name=name, extras=beside)
    file = below(part, "fileData", param) or {}
    media_type = text(file, "mimeType", f"{param}.fileData")
    uri = text(file, "fileUri", f"{param}.fileData")
    kind = _kind(media_type or _guess(uri))
    name = text(file, "displayName", f"{param}.fileData")
    if uri.startswith(("https://", "http://")) and not uri.startswith(_OWN_FILES):
        return Media(kind, url=uri, media_type=media_type, name=name, extras=beside)
    return Media(kind, file_id=uri, media_type=media_type, name=name, extras=beside)


def media_part(media: Media, param: str, native: bool) -> dict[str, Any]:
    """The part for an image, a sound, a film or a document. Raises Misfit for a file of another provider.

    `native`: it was said in this dialect, so that what only this dialect knows of it goes back out.
    """
    made: dict[str, Any]
    if media.data:
        media_type = media.media_type or _USUAL[media.kind]
        if media.kind == "image" and not native:  # Gemini goes by the type, which others' clients may say only nearly
            media_type = type_of_base64(media.data) or media_type
        made = {"inlineData": {"mimeType": media_type, "data": media.data}}
    elif media.url.startswith("data:"):
        made = {"inlineData": _of_data_url(media, param)}
    elif media.url or media.file_id:
        made = {"fileData": _file(media, param, native)}
    elif media.kind == "document" and media.text:
        made = {"inlineData": {"mimeType": "text/plain", "data": encoded(media.text)}}
    else:
        return {"text": media.text}
    if native:
        if media.name:
            next(iter(made.values()))["displayName"] = media.name
        made |= {name: media.extras[name] for name in BESIDE if name in media.extras}
    return made


def _of_data_url(media: Media, param: str) -> dict[str, Any]:
    head, comma, data = media.url.removeprefix("data:").partition(",")
    if not comma or not head.endswith(";base64") or not is_base64(data):
        raise Misfit("A data URL must hold base64: data:<type>;base64,<data>.", param)
    return {"mimeType": head.removesuffix(";base64") or media.media_type or _USUAL[media.kind], "data": data}


def _file(media: Media, param: str, native: bool) -> dict[str, Any]:
    if not media.url and not native and not media.file_id.startswith(_OWN_FILES):
        raise Misfit(
            "The model's provider cannot read a file that was uploaded to another one: send its content or a URL.",
            param,
            unsupported=True,
        )
    uri = media.url or media.file_id
    made: dict[str, Any] = {"fileUri": uri}
    own = not media.url and uri.startswith(_OWN_FILES)
    media_type = media.media_type or _guess(uri) or ("" if own or native else _USUAL[media.kind])
    if media_type:
        made["mimeType"] = media_type
    return made


def _kind(media_type: str) -> Kind:
    return _KINDS.get(media_type.partition("/")[0].lower(), "document")


def _guess(uri: str) -> str:
    """The type that a URL's ending tells, or none."""
    return "video/mp4" if uri.startswith(_FILMS) else type_by_ending(uri)
