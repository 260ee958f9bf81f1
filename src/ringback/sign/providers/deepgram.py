"""Deepgram: `dg-token`, the identifier of the API key that the transcription was asked with.

There is no signature. Dedupe by `metadata.request_id`.

Documentation: https://developers.deepgram.com/docs/using-callbacks-to-return-transcripts-to-your-server.
Sure that there is no signature.
"""

from typing import Final

from ringback.sign.scheme import Field
from ringback.sign.secret_text import SecretText
from ringback.sign.token import token_scheme

SCHEME: Final = token_scheme(
    "deepgram",
    "Deepgram",
    documentation=(
        "https://developers.deepgram.com/docs/using-callbacks-to-return-transcripts-to-your-server"
    ),
    confidence="B",
    header="dg-token",
    secret=SecretText("the identifier of the API key (not the key itself)"),
    id=(Field("metadata.request_id"),),
)
