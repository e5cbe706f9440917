"""What keys of exchanges look like: how they are told from other text, and what may be wrong with one."""

from __future__ import annotations

import re
from dataclasses import dataclass

LONGEST = 512
_RUN = re.compile(r"[A-Za-z0-9]{30,}")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{40,}={0,2}")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_PEM = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY")
_MASKED = re.compile(r"[*•●.…]{3,}")
_FEWEST_KINDS = 10  # different characters: a run of dashes or of one word is no key
# Of letters alone a key is told by its length and by both cases in equal parts: words begin with a capital.
_FEWEST_LETTERS, _FEWEST_LETTER_KINDS, _LEAST_SHARE = 36, 20, 0.3


def looks_like_key(text: str) -> bool:
    """Whether something in the text could be a key or a secret. Addresses and plain words are not."""
    return _PEM.search(text) is not None or any(_is_key(word) for word in text.split())


def _is_key(word: str) -> bool:
    if "://" in word:
        return False
    runs = _RUN.findall(word)
    whole = [word] if _BASE64.fullmatch(word) else []
    return _UUID.search(word) is not None or any(map(_is_random, [*runs, *whole]))


def _is_random(word: str) -> bool:
    digits = sum(char.isdigit() for char in word)
    if digits < 3:
        return _is_jumbled(word)
    return digits <= len(word) - 3 and len(set(word)) >= _FEWEST_KINDS


def _is_jumbled(word: str) -> bool:
    fewer = min(sum(map(str.isupper, word)), sum(map(str.islower, word)))
    long = len(word) >= _FEWEST_LETTERS and len(set(word)) >= _FEWEST_LETTER_KINDS
    return long and fewer >= _LEAST_SHARE * len(word)


# --- one key of one exchange ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KeyShape:
    key: str
    secret: str
    words: str


_ALNUM_64 = "[A-Za-z0-9]{64}"
_UUID_SHAPE = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
SHAPES = {
    "binance": KeyShape(_ALNUM_64, _ALNUM_64, "64 letters and digits each"),
    "bybit": KeyShape("[A-Za-z0-9]{18}", "[A-Za-z0-9]{36}", "a key of 18 characters, a secret of 36"),
    "okx": KeyShape(_UUID_SHAPE, "[0-9A-Fa-f]{32}", "a key in five groups, a secret of 32 characters"),
    "bitget": KeyShape("bg_[0-9a-f]{32}", "[0-9a-f]{64}", "a key that begins with bg_, a secret of 64"),
    "gate": KeyShape("[0-9a-f]{32}", "[0-9a-f]{64}", "a key of 32 characters, a secret of 64"),
    "kucoinfutures": KeyShape("[0-9a-f]{24}", _UUID_SHAPE, "a key of 24 characters, a secret in groups"),
}


def defect(name: str, value: str) -> str:
    """What is wrong with what was entered as ``name``, whatever the exchange; empty: nothing."""
    if not value:
        return f"The {name} is missing."
    if _PEM.search(value):
        return "RSA and Ed25519 keys cannot be used here: make a key of the usual kind (HMAC) instead."
    if _MASKED.search(value):
        return f"The {name} is masked: exchanges show a secret once only. Make a new key and copy it then."
    if len(value) > LONGEST or not value.isascii() or not value.isprintable():
        return f"The {name} holds characters that no key has: copy it again."
    if name != "passphrase" and " " in value:
        return f"The {name} has a space in it: copy it again, whole."
    return ""


def swapped(venue_id: str, key: str, secret: str) -> bool:
    """Surely: each has the other's shape, and the shapes differ."""
    shape = SHAPES.get(venue_id)
    if shape is None or _fits(shape.key, key):
        return False
    return _fits(shape.key, secret) and _fits(shape.secret, key)


def advice(venue_id: str, key: str, secret: str) -> str:
    """What to look at when an exchange does not accept a key."""
    shape = SHAPES.get(venue_id)
    if shape is not None and not (_fits(shape.key, key) and _fits(shape.secret, secret)):
        part = "secret" if _fits(shape.key, key) else "key"
        return f"The {part} may have been cut off: {venue_id} gives {shape.words}."
    return (
        "Look whether key and secret are swapped or cut off, whether the key was deleted or has expired, and "
        "whether it allows this machine's address."
    )


def _fits(shape: str, value: str) -> bool:
    return re.fullmatch(shape, value) is not None
