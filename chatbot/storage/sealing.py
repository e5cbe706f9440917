"""The envelope of one row: what is in it opens only for the account that it was made for.

AES-256-GCM twice: a random data key encrypts the credentials, the master key encrypts the data key. Version,
user, venue and account go into both as associated data, so that a row which was moved to another account does
not open.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from chatbot.errors import InvariantBroken
from chatbot.ports import Account, Credentials
from chatbot.storage.master_key import KEY_BYTES, MasterKey

VERSION = 1
NONCE_BYTES = 12


@dataclass(frozen=True, slots=True, repr=False)
class Sealed:
    master_key_id: str
    key_nonce: bytes
    wrapped_key: bytes
    nonce: bytes
    ciphertext: bytes


@dataclass(frozen=True, slots=True)
class Belonging:
    """To whom an envelope belongs."""

    user_id: str
    venue: str
    account_id: str

    @classmethod
    def of(cls, account: Account) -> Belonging:
        return cls(account.user_id, account.venue, account.id)

    def bound(self, purpose: str) -> bytes:
        """Lengths first: no two different belongings make the same bytes."""
        return _joined(("hedgerow", str(VERSION), purpose, self.user_id, self.venue, self.account_id))


def seal(credentials: Credentials, to: Belonging, master: MasterKey) -> Sealed:
    key = secrets.token_bytes(KEY_BYTES)
    nonce = secrets.token_bytes(NONCE_BYTES)
    parts = (credentials.api_key, credentials.secret, credentials.passphrase)
    ciphertext = _encrypted(key, nonce, json.dumps(parts).encode(), to.bound("credentials"))
    return _wrapped(Sealed("", b"", b"", nonce, ciphertext), key, to, master)


def unseal(sealed: Sealed, to: Belonging, master: MasterKey) -> Credentials:
    """:raises InvariantBroken: it is not this account's, not this key's, or was tampered with"""
    key = _data_key(sealed, to, master)
    text = _decrypted(key, sealed.nonce, sealed.ciphertext, to.bound("credentials"))
    if text is None:
        raise _broken(to)
    return Credentials(*json.loads(text))


def rewrap(sealed: Sealed, to: Belonging, old: MasterKey, new: MasterKey) -> Sealed:
    """The data key under another master key; what it encrypts stays as it is."""
    return _wrapped(sealed, _data_key(sealed, to, old), to, new)


def fingerprint(venue_id: str, api_key: str) -> str:
    """The same for the same key, and too long a guess for everybody else."""
    return sha256(_joined(("hedgerow api key", venue_id, api_key))).hexdigest()


def seal_text(text: str, about: str, master: MasterKey) -> str:
    """By a key made of the master key, for this purpose only."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    sealed = _encrypted(_text_key(master), nonce, text.encode("utf-8", "surrogatepass"), _about(about))
    return f"{master.id}.{base64.b64encode(nonce + sealed).decode()}"


def unseal_text(sealed: str, about: str, master: MasterKey) -> str:
    """:raises InvariantBroken: it is about something else, not this key's, or was tampered with"""
    raw = base64.b64decode(sealed.partition(".")[2])
    text = _decrypted(_text_key(master), raw[:NONCE_BYTES], raw[NONCE_BYTES:], _about(about))
    if text is None:
        raise InvariantBroken("what was handed over does not open")
    return text.decode("utf-8", "surrogatepass")


def _text_key(master: MasterKey) -> bytes:
    return sha256(b"hedgerow handed over\0" + master.material).digest()


def _about(about: str) -> bytes:
    return _joined(("hedgerow", str(VERSION), "handed over", about))


def _data_key(sealed: Sealed, to: Belonging, master: MasterKey) -> bytes:
    key = _decrypted(master.material, sealed.key_nonce, sealed.wrapped_key, to.bound("data key"))
    if key is None:
        raise _broken(to)
    return key


def _wrapped(sealed: Sealed, key: bytes, to: Belonging, master: MasterKey) -> Sealed:
    nonce = secrets.token_bytes(NONCE_BYTES)
    wrapped = _encrypted(master.material, nonce, key, to.bound("data key"))
    return replace(sealed, master_key_id=master.id, key_nonce=nonce, wrapped_key=wrapped)


# The library takes 20 ms to load: only who has a key waits for it.


def _encrypted(key: bytes, nonce: bytes, text: bytes, bound: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    return AESGCM(key).encrypt(nonce, text, bound)


def _decrypted(key: bytes, nonce: bytes, ciphertext: bytes, bound: bytes) -> bytes | None:
    """``None``: another key, another belonging, or somebody else's text."""
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    try:
        return AESGCM(key).decrypt(nonce, ciphertext, bound)
    except InvalidTag:
        return None


def _joined(parts: Sequence[str]) -> bytes:
    return "".join(f"{len(part)}:{part}" for part in parts).encode("utf-8", "surrogatepass")


def _broken(to: Belonging) -> InvariantBroken:
    return InvariantBroken(f"the stored key of account {to.account_id} does not open")
