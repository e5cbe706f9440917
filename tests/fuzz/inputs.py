"""What anybody may send: commands, near-commands, any text, taps real, repeated, foreign and made up."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

from chatbot.chat import UserRef
from handlers import COMMANDS
from tests.dialogs.harness import ANN, BOB, EVE

NAMES = tuple(command.name for command in COMMANDS)
MARKETS = ("BTC", "eth", "btcusd", "BTC/USD:BTC", "SOL", "DOGE", "BTC/USDT:USDT", "ΒTC", "")
SIDES = ("long", "short", "buy", "sell", "both", "primary", "offset", "LONG", "ｌｏｎｇ")
NUMBERS = (
    *(
        "0.05",
        "1",
        "0",
        "-1",
        "-0",
        "+0",
        "00.1",
        "1e400",
        "1e-400",
        "NaN",
        "sNaN",
        "Infinity",
        "-inf",
        "0,5",
    ),
    *(
        "1,000.5",
        "1.000,5",
        "1k",
        "1_000",
        "0x10",
        "1/0",
        "٣",
        "１２",
        "½",
        "²",
        "1" * 31,
        "9" * 600,
        ".",
        "-",
    ),
    *("0." + "0" * 60 + "1", "1e", "+-1", "2000", "1900", "100000", "1e9", "--5", "5-", "1..2", "0b1"),
)
SIZES = ("25%", "100%", "0%", "101%", "-5%", "1000usdt", "$500", "$-1", "10x", "1000x", "0x", "-3x", "1e9x")
WORDS = (
    *NAMES, *MARKETS, *SIDES, *NUMBERS, *SIZES,
    *("isolated", "cross", "sl", "tp", "at", "@2000", "sl=1900", "tp=NaN", "rebalance", "restore", "yes"),
    *("#1", "#2", "#0", "#-1", "#999999999", "#" + "9" * 40, "off", "reset", "deposit", "balance", "close"),
    *("zone", "Berlin", "Europe/Berlin", "quiet", "23:00-07:00", "25:61", "snooze", "1h", "99999999h"),
    *("liquidation", "leverage", "funding", "telegram:1", "okx", "$(id)", "'; DROP TABLE users; --"),
    *("%", "#", "$", ",", ".", "🚀", "**", "`", "``", "<b>", "&lt;", "x" * 300, "\x00", "\u202e", "\u200b"),
)  # fmt: skip
EXAMPLES = tuple(example for command in COMMANDS if (example := command.example))

any_text = st.text(st.characters(codec="utf-8"), max_size=120)
words = st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(" ".join)
commands = st.builds(
    lambda name, rest: f"{name} {' '.join(rest)}",
    st.sampled_from(NAMES),
    st.lists(st.sampled_from(WORDS), max_size=6),
)
openings = st.builds(
    "/open {} {} {} {} {} sl {}".format,
    *(st.sampled_from(each) for each in (MARKETS, SIDES, NUMBERS, SIZES, ("isolated", "cross", ""), NUMBERS)),
)
changes = st.builds(
    "{} {} {} {}".format,
    st.sampled_from(
        ("/adjust #1", "/margin #1", "/close #1", "/hedge ETH", "/risk", "/alerts", "/adjust #2")
    ),
    st.sampled_from((*SIDES, "at", "rebalance", "sl", "tp", "")),
    st.sampled_from((*NUMBERS, *SIZES, "+10%", "-50%")),
    st.sampled_from(("", "sl 1900", "tp 2500", "off", "at 2400")),
)


def _bent(text: str, place: int, letter: str) -> str:
    at = place % (len(text) + 1)
    return text[:at] + letter + text[at + place % 3 :]


near_commands = st.builds(
    _bent,
    st.one_of(st.sampled_from(EXAMPLES), openings, commands),
    st.integers(0, 200),
    st.sampled_from(["", " ", "/", "@", "\n", "\t", "٠", "é", "0", "-", "．", "\u00a0", "\u2212", "%", "x"]),
)
texts = st.one_of(commands, openings, changes, near_commands, words, any_text)

forged = st.one_of(
    any_text,
    st.builds(
        "q:{}:{}".format,
        st.from_regex(r"[\w-]{22}", fullmatch=True),
        st.sampled_from(["confirm", "cancel", "offset_first", "x"]),
    ),
    # The ids of the tests are no secret: whoever guesses one still has no right to it.
    st.builds("q:{:022d}:{}".format, st.integers(1, 60), st.sampled_from(["confirm", "at_once", "cancel"])),
    st.builds("{}:{}:{}".format, st.sampled_from("ce"), st.from_regex(r"[\w-]{11}", fullmatch=True), texts),
)
users = st.sampled_from([ANN, ANN, ANN, BOB, EVE])


@dataclass(frozen=True)
class Say:
    by: UserRef
    text: str
    in_group: bool


@dataclass(frozen=True)
class Tap:
    """The ``button``-th of all buttons that any card ever bore, counted from the newest, going round.

    Mostly one that can be seen; else one of long ago. ``bend`` changes a letter of what it carries.
    """

    by: UserRef
    button: int
    bend: int = 0


@dataclass(frozen=True)
class Forge:
    by: UserRef
    data: str


@dataclass(frozen=True)
class Move:
    percent: int
    seconds: int


Action = Say | Tap | Forge | Move
taps = st.one_of(
    st.builds(Tap, users, st.integers(0, 12)),
    st.builds(Tap, users, st.integers(0, 400)),
    st.builds(Tap, users, st.integers(0, 40), st.integers(1, 500)),
)
says = st.builds(Say, users, texts, st.booleans())
actions: st.SearchStrategy[Action] = st.one_of(
    says,
    says,
    taps,
    taps,
    st.builds(Forge, users, forged),
    st.builds(Move, st.sampled_from([0, 0, 1, -1, 4, -4, 12, -12, 30]), st.integers(0, 90)),
)
