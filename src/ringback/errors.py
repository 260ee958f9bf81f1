"""Every exception that Ringback raises on purpose. Each message says what to do next.

    RingbackError
    ├── ConfigError              a setting is missing, malformed or contradictory
    ├── CannotListen             the address to listen on is taken, not ours or not an address
    ├── EngineStopped            the engine ended by itself; start the service again
    ├── WorkersFailed            a worker process ended again and again; see why, start again
    ├── SecretError              a signing secret is malformed, too short or of the wrong kind
    │   └── MainSecretNeeded     it is sealed with a main_secret that is not the one that is set
    ├── StoreError
    │   ├── StoreOwned           another process owns the SQLite file
    │   ├── StoreUnavailable     the database cannot be used just now (full, locked, gone)
    │   ├── StoreCorrupt         the database is damaged; restore a backup
    │   ├── StoreGone            the database file was removed, moved or replaced under the service
    │   ├── SchemaMismatch       the database was written by a newer or an altered version
    │   └── Fenced               this node lost its lease; it must stop sending
    ├── VerificationError        a webhook that was received is not proven to be authentic
    │   ├── Missing              a header or field that proves it is not there
    │   ├── Malformed            it is there and cannot be read
    │   ├── Mismatch             no signature fits: wrong secret, altered body, or forged
    │   ├── Stale                authentic, but signed too long ago or in the future
    │   ├── KeyNeeded            the provider's certificate or key must be fetched first
    │   └── Misconfigured        the receiver's own mistake: secret, URL or raw body
    ├── FetchFailed              a provider's certificate or key could not be fetched
    ├── InboxError
    │   ├── InboxUnavailable     what was received is not known to be kept: answer 503
    │   ├── TransactionEnded     a handler uses its transaction after it was rolled back
    │   ├── TryLater             raised by a handler: this event again, at a time that it knows
    │   └── Unprocessable        raised by a handler: no further attempt will help
    └── Rejected                 a request that cannot be served; carries its HTTP answer
        ├── BadRequest           400
        ├── Unauthenticated      401
        ├── Forbidden            403
        ├── NotFound             404
        ├── Conflict             409
        ├── PayloadTooLarge      413
        ├── Invalid              422
        ├── TooManyRequests      429
        ├── NotImplementedHere   501
        └── Unavailable          503

A failed delivery attempt is not an exception: it is a value (see `wire.port` and `rules.retry`).
"""

from typing import ClassVar


class RingbackError(Exception):
    """The root: catching it catches everything that Ringback raises on purpose."""


class ConfigError(RingbackError):
    """A setting is missing, malformed or contradictory."""


class CannotListen(RingbackError):
    """The address to listen on is taken, not ours or not an address."""


class EngineStopped(RingbackError):
    """The engine ended by itself, so this process accepts without delivering: it must end too."""

    def __init__(
        self, what: str = "the engine has stopped, see the log above; start the service again"
    ) -> None:
        super().__init__(what)


class WorkersFailed(RingbackError):
    """A worker process ended again and again, so the service has ended as a whole."""


class SecretError(RingbackError):
    """A signing secret is malformed, too short or of the wrong kind."""


class MainSecretNeeded(SecretError):
    """A stored secret is sealed with a main secret that is not the one that is set."""


class StoreError(RingbackError):
    """The root of everything that the store reports."""


class StoreOwned(StoreError):
    """Another process owns the SQLite file."""


class StoreUnavailable(StoreError):
    """The database cannot be used just now: nothing was changed, unless the connection broke before
    the answer came. Then nobody knows, so whatever is tried again must be safe to repeat."""


class StoreCorrupt(StoreError):
    """The database file is damaged."""


class StoreGone(StoreError):
    """The name of the database no longer means the file that was opened: nothing is kept."""


class SchemaMismatch(StoreError):
    """The schema is newer than this program, or a migration was altered after it ran."""


class Fenced(StoreError):
    """This node's lease is gone: another node may have its work, so stop sending."""


class VerificationError(RingbackError):
    """A webhook that was received is not proven to be authentic: do not process it.

    `status` is the HTTP status to answer. It is 401 wherever the request is to blame, because some
    providers test receivers with bad signatures and take nothing else; never 410, which ends
    subscriptions. No message contains a secret or the signature that was expected.
    """

    status: ClassVar[int] = 401


class Missing(VerificationError):
    """A header or field that proves authenticity is not there."""


class Malformed(VerificationError):
    """What should prove authenticity, or a proven body, cannot be read."""


class Mismatch(VerificationError):
    """No signature fits any secret: another secret, an altered body or URL, or a forgery."""


class Stale(VerificationError):
    """The signature is good, but its timestamp is outside the tolerance: replayed, or a clock."""


class KeyNeeded(VerificationError):
    """The document at `url` must be fetched, and `verify` asked again with it in `documents`.

    `url` was checked against what the provider may use; its fragment, if any, names one key.
    """

    status = 503

    def __init__(self, url: str) -> None:
        super().__init__(f"fetch {url} and verify again with it in `documents`")
        self.url = url


class Misconfigured(VerificationError):
    """The receiver's own mistake; the answer is a 5xx, so that the provider tries again later."""

    status = 500


class FetchFailed(RingbackError):
    """A provider's certificate or key could not be fetched, or must not be from there."""


class InboxError(RingbackError):
    """The root of what concerns the inbox of a receiver."""


class InboxUnavailable(InboxError):
    """What was received is not known to be kept. Answer `status`, and the provider tries again."""

    status: ClassVar[int] = 503


class TransactionEnded(InboxError):
    """The transaction of a handler is over, and what it wrote is rolled back."""


class TryLater(InboxError):
    """For handlers to raise: try this event again in `after_s` seconds, if attempts are left."""

    def __init__(self, why: str, *, after_s: float) -> None:
        super().__init__(why)
        self.after_s = after_s


class Unprocessable(InboxError):
    """For handlers to raise: no further attempt will help, so keep the event as dead at once."""


class Rejected(RingbackError):
    """A request that cannot be served.

    `code` is a machine-readable word, `detail` a sentence that says what to do next.
    """

    status: ClassVar[int] = 400
    default_code: ClassVar[str] = "generic_error"

    def __init__(self, detail: str, *, code: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.default_code


class BadRequest(Rejected):
    status = 400


class Unauthenticated(Rejected):
    status = 401
    default_code = "authentication_failed"


class Forbidden(Rejected):
    status = 403
    default_code = "insufficient access"


class NotFound(Rejected):
    status = 404
    default_code = "not_found"

    def __init__(self, detail: str = "Entity not found", *, code: str | None = None) -> None:
        super().__init__(detail, code=code)


class Conflict(Rejected):
    status = 409
    default_code = "conflict"


class PayloadTooLarge(Rejected):
    status = 413
    default_code = "payload_too_large"


class Invalid(Rejected):
    """A value that breaks a rule. `loc` is the path to it, e.g. `("body", "url")`."""

    status = 422
    default_code = "value_error"

    def __init__(self, detail: str, *, loc: tuple[str, ...], code: str | None = None) -> None:
        super().__init__(detail, code=code)
        self.loc = loc


class TooManyRequests(Rejected):
    status = 429
    default_code = "too_many_requests"


class NotImplementedHere(Rejected):
    status = 501
    default_code = "not_implemented"


class Unavailable(Rejected):
    status = 503
    default_code = "unavailable"
