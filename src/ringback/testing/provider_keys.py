"""Keys with which tests sign as a provider would, the same ones for the same number.

A provider whose keys take a certificate needs an RSA key, which is made once a process.
"""

from functools import cache

from ringback.sign.scheme import KeyPair, Scheme


@cache
def _rsa_pem(_number: int) -> str:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def key_pair(scheme: Scheme, number: int) -> KeyPair:
    """The pair of this number, 1 to 255. An RSA scheme's signing text is `<verifying>\\n<PEM>`."""
    if scheme.keys is not None:
        return scheme.keys(bytes([number]) * 32)
    verifying = scheme.name.upper() + str(number)
    return KeyPair(f"{verifying}\n{_rsa_pem(number)}", verifying)
