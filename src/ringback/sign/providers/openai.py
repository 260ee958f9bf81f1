"""OpenAI: Standard Webhooks. Its own SDK also takes bare secrets and signatures; this does not.

Documentation: https://platform.openai.com/docs/guides/webhooks. Sure: see `standard`.
"""

from typing import Final

from ringback.sign.standard_scheme import standard_scheme

SCHEME: Final = standard_scheme(
    "openai", "OpenAI", documentation="https://platform.openai.com/docs/guides/webhooks"
)
