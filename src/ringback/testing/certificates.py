"""What a receiver of a test shows for itself in a TLS handshake.

authority = trustme.CA()
ChaosReceiver(tls=served(authority.issue_cert("127.0.0.1")))
"""

import ssl
from datetime import UTC, datetime
from typing import Final

import trustme

LONG_AGO: Final = datetime(2001, 1, 1, tzinfo=UTC)


def served(certificate: trustme.LeafCert) -> ssl.SSLContext:
    """A server's context that shows the certificate, and what leads from it to its authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def self_signed() -> trustme.LeafCert:
    """A certificate that only speaks for itself."""
    alone = trustme.CA()
    return trustme.LeafCert(alone.private_key_pem.bytes(), alone.cert_pem.bytes(), [])
