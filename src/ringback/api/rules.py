"""Where the API asks other rooms for their rules, and turns their refusals into 422 answers."""

from collections.abc import Mapping
from typing import Final

import jsonschema_rs
import msgspec

from ringback.api.schemas.endpoint import RETRIES_MAX, RetryIn
from ringback.api.schemas.words import METADATA_BYTES_MAX
from ringback.errors import Invalid, SecretError
from ringback.model import RetryPolicy, SignatureScheme, SignatureType
from ringback.rules.retry import exponential
from ringback.sign import secret as secrets
from ringback.sign.delivery import check_scheme
from ringback.wire.headers import check_custom
from ringback.wire.url import parse

SCHEMA_DEPTH_MAX: Final = 100
DRAFT_7: Final = "http://json-schema.org/draft-07/schema#"


def endpoint_url(url: str, *, is_https_only: bool) -> str:
    """The normal form. Raises Invalid."""
    try:
        parsed = parse(url)
    except ValueError as error:
        raise Invalid(str(error), loc=("body", "url")) from None
    if is_https_only and not parsed.is_tls:
        raise Invalid("the URL must begin with https:// on this server", loc=("body", "url"))
    return parsed.text


def headers(given: Mapping[str, str]) -> dict[str, str]:
    """Custom headers as they may be sent. Raises Invalid."""
    try:
        check_custom(given)
    except ValueError as error:
        raise Invalid(str(error), loc=("body", "headers")) from None
    return dict(given)


def metadata(given: Mapping[str, str] | None) -> dict[str, str]:
    """Raises Invalid when it is too large or has a NUL."""
    if not given:
        return {}
    size = len(msgspec.json.encode(given))
    if size > METADATA_BYTES_MAX:
        raise Invalid(
            f"metadata is {size} bytes of JSON; at most {METADATA_BYTES_MAX} are kept",
            loc=("body", "metadata"),
        )
    if any("\0" in name or "\0" in value for name, value in given.items()):
        raise Invalid("remove the NUL characters from metadata", loc=("body", "metadata"))
    return dict(given)


def new_secret(kind: SignatureType, scheme: SignatureScheme, *, random_bytes: bytes) -> str:
    """A secret that the scheme can use: only the standard one knows Ed25519."""
    if scheme is not SignatureScheme.STANDARD:
        kind = SignatureType.HMAC256
    return secrets.generate(kind, random_bytes)


def given_secret(text: str, scheme: SignatureScheme, *, field: str) -> str:
    """A secret that a caller brings. Base64 without a prefix is an HMAC key, as in Svix."""
    if text and "_" not in text and ":" not in text:
        text = secrets.HMAC_PREFIX + text
    try:
        check_scheme(scheme, text)
    except SecretError as error:
        raise Invalid(str(error), loc=("body", field)) from None
    return text


def scheme_for(scheme: SignatureScheme, texts: list[str]) -> SignatureScheme:
    """A scheme that can use every one of these secrets. Raises Invalid."""
    for text in texts:
        try:
            check_scheme(scheme, text)
        except SecretError as error:
            raise Invalid(str(error), loc=("body", "signatureScheme")) from None
    return scheme


SECRET_RANDOM_BYTES: Final = secrets.RANDOM_BYTES
shown_secret = secrets.public_text


def retry_policy(given: RetryIn | None) -> RetryPolicy | None:
    """The waits that are stored. Raises Invalid."""
    if given is None:
        return None
    if given.schedule is not None:
        if given.base is not None:
            raise Invalid("send either schedule or base, not both", loc=("body", "retry"))
        if len(given.schedule) > RETRIES_MAX:
            raise Invalid(
                f"at most {RETRIES_MAX} retries are made", loc=("body", "retry", "schedule")
            )
        return RetryPolicy(tuple(given.schedule))
    if given.base is None:
        raise Invalid("send schedule or base", loc=("body", "retry"))
    try:
        return RetryPolicy(
            exponential(given.base, factor=given.factor, cap_s=given.cap, attempts=given.attempts)
        )
    except ValueError as error:
        raise Invalid(str(error), loc=("body", "retry")) from None


def json_schemas(given: Mapping[str, object] | None, *, bytes_max: int) -> dict[str, object] | None:
    """JSON Schemas by version, each a valid Draft 7 schema. Raises Invalid.

    The schema's own `$schema` is not followed: it could name any address.
    """
    if given is None:
        return None
    _check_depth(given, SCHEMA_DEPTH_MAX)
    size = len(msgspec.json.encode(given))
    if size > bytes_max:
        raise Invalid(
            f"the schemas are {size} bytes; at most {bytes_max} are kept", loc=("body", "schemas")
        )
    for version, schema in given.items():
        _check_schema(version, schema)
    return dict(given)


def _check_depth(value: object, left: int) -> None:
    if left == 0:
        raise Invalid(
            f"the schemas are nested deeper than {SCHEMA_DEPTH_MAX} levels; flatten them",
            loc=("body", "schemas"),
        )
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            _check_depth(inner, left - 1)


def _check_schema(version: str, schema: object) -> None:
    place = ("body", "schemas", version)
    if not isinstance(schema, dict):
        raise Invalid("a JSON Schema is an object", loc=place)
    try:
        jsonschema_rs.meta.validate({**schema, "$schema": DRAFT_7})
    except jsonschema_rs.ValidationError as error:
        raise Invalid(f"not a valid Draft 7 schema: {error.message}", loc=place) from None
    except (ValueError, RecursionError) as error:
        raise Invalid(f"this schema cannot be checked: {error}", loc=place) from None
