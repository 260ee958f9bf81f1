"""OpenAI: Standard Webhooks. Its own SDK also takes bare secrets and signatures; this does not.

Documentation: https://platform.openai.com/docs/guides/webhooks. Sure: the
official SDK accepts what is made here, in the test suite.
"""

from typing import Final

from ringback.sign.standard_scheme import standard_scheme

SCHEME: Final = standard_scheme(
    "openai",
    "OpenAI",
    documentation="https://platform.openai.com/docs/guides/webhooks",
    confidence="A",
    vectors="vendor",
)
