"""The parts of this dialect under their common names. Only upstreams speak it, and they do not stream. Pure."""

from __future__ import annotations

from typing import Final

from providers.dialects.dialect import Dialect, Upstream
from providers.dialects.theta_infer.request import NAME, write_request
from providers.dialects.theta_infer.response import again, read_answer
from providers.dialects.unstreamed import reader_of

THETA_INFER: Final = Dialect(
    name=NAME,
    upstream=Upstream(write_request=write_request, read_answer=read_answer, reader=reader_of(read_answer), again=again),
)
