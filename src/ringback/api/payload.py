"""The one check of a payload. It is kept, signed and sent byte for byte, so it is not interpreted.

That it is well-formed JSON is known from reading the envelope; what is left is that it is an object
and that its strings are UTF-8. What readers may take differently (a key given twice, a number of a
thousand digits) is between sender and receiver: looking for it would cost several times what all
the rest of accepting a message costs.
"""

from typing import Final

from ringback.errors import Invalid

PLACE: Final = ("body", "payload")


def check_payload(payload: bytes) -> None:
    """Raises Invalid unless the bytes, known to be JSON but for their strings, are an object."""
    if payload[:1] != b"{":
        raise Invalid("the payload must be a JSON object, like {}", loc=PLACE)
    try:
        payload.decode()
    except UnicodeDecodeError:
        raise Invalid(
            "the payload has bytes that are not UTF-8; encode the text as UTF-8", loc=PLACE
        ) from None
