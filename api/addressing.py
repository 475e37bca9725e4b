"""Where a candidate's requests go and how they are signed: from the snapshot, the account and the key in use."""

from __future__ import annotations

from collections.abc import Mapping

from api import identity
from api.errors import ApiError, Fault
from api.trip import Trip
from keys.pool import Lease
from providers.credentials import CannotSign, Unsigned, sign
from providers.exchange import Call, Outgoing
from providers.hosts import BadUrl, UnfilledVariable, base_url, origin_of, variables_of
from providers.quirks import as_signed
from providers.secrets import Secret
from routing.candidates import Candidate

Headers = tuple[tuple[str, str], ...]


class Address:
    """One candidate's place, with the key that opens it."""

    __slots__ = ("_at", "_candidate", "_lease", "_trip")

    def __init__(self, trip: Trip, candidate: Candidate, lease: Lease | None) -> None:
        self._trip = trip
        self._candidate = candidate
        self._lease = lease
        #: at the worker that takes the job, where workers do
        self._at = candidate.seat

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """What requests are signed with here: it is taken out of what the upstream says."""
        known = (self._lease.secret if self._lease is not None else None, self._at.secret if self._at else None)
        return tuple(secret for secret in known if secret)

    def base(self) -> str:
        """Below which URL requests go; made once per snapshot. Raises BadUrl."""
        candidate, lease = self._candidate, self._lease
        if self._at is not None:
            return self._at.url
        if lease is not None and lease.api and not candidate.account.base_url:
            return lease.api  # where the issuer of its access token wants it
        assert self._trip.snapshot is not None
        memo = self._trip.snapshot.memo
        key_set = lease.key_set if lease is not None else None
        location = candidate.quirks.get("location") or ""
        known = ("base", candidate.account.id, key_set.id if key_set is not None else None, candidate.family, location)
        url: str | None = memo.get(known)
        if url is None:
            variables = key_set.variables if key_set is not None else {}
            url = memo[known] = base_url(candidate.provider, candidate.account, variables, candidate.family, location)
        return url

    def request(self, method: str, url: str, headers: Headers, body: bytes, call: Call) -> Outgoing:
        """A request for a URL at this place: who asks and the credential are added. Raises BadUrl, CannotSign."""
        lease = self._lease
        if lease is not None and not lease.may_go(url):
            raise BadUrl("the route's address is not one that the account's keys were sealed for")
        said = [
            *headers,
            ("user-agent", "jackfield"),
            ("x-request-id", self._trip.row.request_id),
            ("via", identity.via()),
            *(lease.headers if lease is not None else ()),
        ]
        if self._at is not None:
            if origin_of(url) != origin_of(self._at.url):
                raise BadUrl("the route's address is not the worker's")
            if self._at.secret:
                said.append(("authorization", f"Bearer {self._at.secret.reveal()}"))
            return Outgoing(method, url, said, body, call)
        signed_as = as_signed(self._candidate.provider, self._candidate.quirks)
        unsigned = Unsigned(signed_as, method, url, said, body, self.variables())
        url, said = sign(unsigned, lease.secret if lease is not None else None)
        return Outgoing(method, url, said, body, call)

    def refusal(self, problem: BadUrl | CannotSign) -> ApiError:
        """What the caller is told where no request could be made."""
        fault = Fault.VARIABLE_MISSING if isinstance(problem, UnfilledVariable) else Fault.BAD_ACCOUNT
        return ApiError(fault, f"Account '{self._candidate.account.name}': {problem}.")

    def variables(self) -> Mapping[str, str]:
        """What a host and a signer may ask of the account; made once per snapshot."""
        assert self._trip.snapshot is not None
        memo, candidate = self._trip.snapshot.memo, self._candidate
        key_set = self._lease.key_set if self._lease is not None else None
        known = ("variables", candidate.account.id, key_set.id if key_set is not None else None)
        values: Mapping[str, str] | None = memo.get(known)
        if values is None:
            own = key_set.variables if key_set is not None else {}
            values = memo[known] = variables_of(candidate.provider, candidate.account, own)
        return values
