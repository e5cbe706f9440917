"""The demo tells the whole story, the same every time, and proves it."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from chatbot.__main__ import main as command_line
from chatbot.chat import Reply, Severity, Table
from chatbot.demo import Told, tell
from chatbot.domain.instrument import OrderSide, PositionSide
from chatbot.domain.order import Fill
from chatbot.platforms.console import render
from chatbot.stage import Line, Speaker

ROOT = Path(__file__).resolve().parent.parent
RECORDED = ROOT.parent / "shared" / "data" / "replay-btcusdt-1m-2025-10-08-to-12.csv"
HEADER = "ts,mark,mid,index,funding_rate\n"
CENT = Decimal("0.01")

Telling = tuple[Told, str]


def played(data: Path | None = None) -> Telling:
    out = io.StringIO()
    return asyncio.run(tell(data, out)), out.getvalue()


@pytest.fixture(scope="module")
def simulated() -> Telling:
    return played()


@pytest.fixture(scope="module")
def recorded() -> Telling:
    if not RECORDED.exists():
        pytest.skip("the recorded prices are not here")
    return played(RECORDED)


@pytest.fixture(scope="module", params=["simulated", "recorded"])
def either(request: pytest.FixtureRequest) -> Telling:
    telling: Telling = request.getfixturevalue(request.param)
    return telling


def replies(told: Told) -> list[Reply]:
    return [line.reply for line in told.lines if line.speaker is Speaker.BOT]


# --- the story ----------------------------------------------------------------------------------

STATIONS = [
    r"── 1 · A trader opens a long",
    r"you │ /start",
    r"you │ /open BTC long 0\.05",
    r"you │ taps \[Confirm\]",
    r"✅ #1 BTC is open: long 0\.05 BTC",
    r"── 2 · The price runs",
    r"💸 #1 BTC: funding in 15 min",
    r"funding settled: long -0\.\d\d\n",
    r"── 3 · The profit is locked with an equal short",
    r"you │ /hedge BTC",
    r"🔒 Lock ~\+\d+\.\d\d USDT on BTC",
    r"Closing now instead gives",
    r"you │ taps \[Confirm\]",
    r"bot↻│ ✅ #1 BTC is hedged: ~\+\d+\.\d\d USDT locked",
    r"you │ /status",
    r"── 4 · The market goes on",
    r"funding settled: long -0\.\d\d, short \+0\.\d\d\n",
    r"leg \d+\.\d % from liquidation",
    r"── 5 · Both legs are closed, the offset first",
    r"you │ taps \[Close…\]",
    r"you │ taps \[Offset first\]",
    r"bot↻│ ✅ #1 BTC closed: \+\d+\.\d\d USDT",
    r"proof: ledger equals venue",
]


def test_every_station_is_told_in_its_order(either: Telling) -> None:
    rest = either[1]
    for station in STATIONS:
        found = re.search(station, rest)
        assert found is not None, station
        rest = rest[found.end() :]


def test_the_bot_says_when_there_is_a_profit_to_lock(simulated: Telling) -> None:
    assert "#1 BTC long +5.0 %: lock it?" in simulated[1]


def test_two_runs_print_the_same(simulated: Telling) -> None:
    assert played()[1] == simulated[1]


def test_time_never_runs_backwards(either: Telling) -> None:
    instants = [line.at for line in either[0].lines]

    assert instants == sorted(instants)


def test_the_market_is_told_where_time_has_passed(either: Telling) -> None:
    for before, line in zip(either[0].lines, either[0].lines[1:], strict=False):
        if line.at - before.at >= timedelta(minutes=1):
            assert line.speaker is Speaker.MARKET
            assert re.match(r"(\d+ (d|h|min) )+later: BTC [\d,]+, [+-]\d+\.\d % since the start", line.text)


def test_every_line_fits_a_terminal_but_the_proof(either: Telling) -> None:
    *lines, proof = either[1].splitlines()

    assert max(len(line) for line in lines) <= 80
    assert proof == either[0].proof


def test_a_card_is_as_wide_as_on_a_phone(either: Telling) -> None:
    cards = [line.split("│ ", 1)[1] for line in either[1].splitlines() if "│ " in line]

    assert max(len(text) for text in cards) <= 60


def test_nothing_but_text_goes_to_a_pipe(either: Telling) -> None:
    assert "\x1b" not in either[1]
    assert "**" not in either[1]


def test_a_terminal_gets_colors_and_the_same_words(simulated: Telling) -> None:
    out = io.StringIO()
    asyncio.run(tell(None, out, colors=True))

    assert "\x1b[33m│" in out.getvalue()  # a warning
    assert re.sub(r"\x1b\[\d+m", "", out.getvalue()) == simulated[1]


def test_a_person_reads_it_in_under_a_minute() -> None:
    rests: list[float] = []

    async def rest(seconds: float) -> None:
        rests.append(seconds)

    asyncio.run(tell(None, io.StringIO(), rest=rest))

    assert 15 < sum(rests) < 45  # what the machine needs comes on top


# --- the money ----------------------------------------------------------------------------------


def closing_rows(told: Told) -> dict[str, Decimal]:
    *_, last = replies(told)
    (table,) = (block for block in last.blocks if isinstance(block, Table))
    rows = (re.fullmatch(r"(\S.*?) {2,}([+-][\d,.]+)", line) for line in table.lines)
    return {row[1]: Decimal(row[2].replace(",", "")) for row in rows if row is not None}


def fill_of(told: Told, side: PositionSide, order: OrderSide) -> Fill:
    (fill,) = (fill for fill in told.fills if fill.position_side is side and fill.side is order)
    return fill


def test_the_closing_card_adds_up(either: Telling) -> None:
    rows = closing_rows(either[0])
    result = rows.pop("net result")

    assert set(rows) == {"gross lock", "slippage of close", "fees", "funding"}
    assert sum(rows.values()) == result
    assert f"closed: {result:+,.2f} USDT" in render(replies(either[0])[-1])


def test_the_gross_lock_is_the_quantity_times_the_distance_of_the_entries(either: Telling) -> None:
    told = either[0]
    bought = fill_of(told, PositionSide.LONG, OrderSide.BUY)
    sold = fill_of(told, PositionSide.SHORT, OrderSide.SELL)

    assert bought.quantity == sold.quantity == Decimal("0.05")
    gross = bought.quantity * (sold.price - bought.price)
    assert abs(closing_rows(told)["gross lock"] - gross) <= CENT / 2


def test_fees_and_funding_on_the_card_are_those_of_the_ledger(either: Telling) -> None:
    told, rows = either[0], closing_rows(either[0])

    assert abs(rows["fees"] + sum(abs(fill.fee) for fill in told.fills)) <= CENT
    assert abs(rows["funding"] - sum(payment.amount for payment in told.funding)) <= CENT


def paid(told: Told, side: PositionSide) -> dict[datetime, Decimal]:
    return {payment.at: payment.amount for payment in told.funding if payment.side is side}


def test_both_legs_receive_and_pay_the_same_funding_while_hedged(either: Telling) -> None:
    longs, shorts = paid(either[0], PositionSide.LONG), paid(either[0], PositionSide.SHORT)

    assert shorts
    assert all(longs[at] == -amount for at, amount in shorts.items())
    assert len(longs) > len(shorts)  # the long paid alone before


def test_the_offset_leg_is_closed_first(either: Telling) -> None:
    assert [(fill.position_side, fill.side) for fill in either[0].fills] == [
        (PositionSide.LONG, OrderSide.BUY),
        (PositionSide.SHORT, OrderSide.SELL),
        (PositionSide.SHORT, OrderSide.BUY),
        (PositionSide.LONG, OrderSide.SELL),
    ]


def test_the_proof_compares_ledger_and_wallet(either: Telling) -> None:
    told = either[0]
    pattern = (
        r"(\d+) fills and (\d+) funding payments, ledger (\S+) USDT = wallet (\S+) USDT, nothing left open"
    )
    found = re.search(pattern, told.proof)

    assert found is not None
    assert (int(found[1]), int(found[2])) == (len(told.fills), len(told.funding))
    assert found[3] == found[4]
    assert abs(Decimal(found[3]) - closing_rows(told)["net result"]) <= CENT


# --- the crash of October 2025 ------------------------------------------------------------------


def warnings(told: Told) -> Iterator[Line]:
    for line in told.lines:
        if line.speaker is Speaker.BOT and "from liquidation" in render(line.reply):
            yield line


def test_the_crash_of_10_october_brings_warnings_that_grow_graver(recorded: Telling) -> None:
    told = list(warnings(recorded[0]))

    assert {line.at.date().isoformat() for line in told} == {"2025-10-10"}
    assert [line.reply.severity for line in told][-1] is Severity.CRITICAL
    assert len(told) == 3


def test_what_was_locked_before_the_crash_is_what_is_left_after_it(recorded: Telling) -> None:
    told = recorded[0]
    (done,) = (render(reply) for reply in replies(told) if "is hedged" in render(reply))
    promised = re.search(r"~\+([\d.]+) USDT locked", done)

    assert promised is not None
    # The estimate counts on crossing the spread as it was before the crash.
    assert abs(closing_rows(told)["net result"] / Decimal(promised[1]) - 1) < Decimal("0.02")


# --- files that are wrong, markets that do not help ---------------------------------------------


def rows(*prices: float) -> str:
    """A recording with a price a minute."""
    start = int(datetime(2026, 2, 1, tzinfo=UTC).timestamp() * 1000)
    lines = (f"{start + number * 60_000},{p},{p},{p}," for number, p in enumerate(prices))
    return HEADER + "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "the file is empty"),
        (HEADER.encode(), "there is no row after the header"),
        (b"a,b\n1,2\n", "line 1 has no column ts"),
        (HEADER.encode() + b"1759881600000,soon,1,1,\n", "line 2: mark 'soon' is no number"),
        (HEADER.encode() + b"1759881600000,-5,1,1,\n", "line 2: mark '-5' is not a price above zero"),
        (b"\xff\xfe\x00\x01", "it cannot be read as text"),
    ],
)
def test_a_broken_recording_gets_one_clear_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, problem: str
) -> None:
    path = tmp_path / "prices.csv"
    path.write_bytes(content)

    assert command_line(["demo", "--data", str(path)]) == 2

    out, err = capsys.readouterr()
    assert err.startswith(f"--data: cannot replay prices.csv: {problem}")
    assert "for example" in err
    assert len(err.splitlines()) == 1
    assert out == ""


def test_a_recording_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line(["demo", "--data", "nowhere.csv"]) == 2
    assert capsys.readouterr().err == "--data: there is no file 'nowhere.csv' to replay\n"


def test_a_folder_is_no_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line(["demo", "--data", str(tmp_path)]) == 2
    assert "there is no file" in capsys.readouterr().err


def test_without_a_rise_there_is_nothing_to_lock(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "flat.csv"
    path.write_text(rows(*[50_000] * 30))

    assert command_line(["demo", "--data", str(path)]) == 1
    err = capsys.readouterr().err
    assert err == "hedgerow: the price of BTC did not rise by 2 %, there is no profit to lock\n"


@pytest.fixture
def calm(tmp_path: Path) -> Path:
    path = tmp_path / "calm.csv"
    path.write_text(rows(*[50_000] * 5, *[51_500] * 5))
    return path


def test_a_recording_without_danger_ends_with_the_close_all_the_same(calm: Path) -> None:
    told, text = played(calm)

    assert not list(warnings(told))
    assert "#1 BTC closed: +" in text
    assert text.splitlines()[-1] == told.proof


# --- the picture --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("demo.jpg", "--picture: 'demo.jpg' should end in .png, for example demo.png\n"),
        ("nowhere/demo.png", "--picture: there is no folder 'nowhere' to write into\n"),
    ],
)
def test_a_place_for_the_picture_is_checked_before_the_story(
    capsys: pytest.CaptureFixture[str], name: str, complaint: str
) -> None:
    assert command_line(["demo", "--picture", name]) == 2
    assert capsys.readouterr() == ("", complaint)


def test_the_picture_is_drawn_light_and_dark(calm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    light, dark = calm.with_name("told.png"), calm.with_name("told-dark.png")

    assert command_line(["demo", "--data", str(calm), "--picture", str(light)]) == 0

    assert capsys.readouterr().out.endswith(f"picture: {light}, {dark}\n")
    assert light.stat().st_size > 10_000
    assert dark.stat().st_size > 10_000


def test_a_picture_that_cannot_be_written_is_said(calm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    taken = calm.with_name("taken.png")
    taken.mkdir()

    assert command_line(["demo", "--data", str(calm), "--picture", str(taken)]) == 1
    assert "hedgerow: the picture could not be written: Is a directory" in capsys.readouterr().err


# --- the README ---------------------------------------------------------------------------------


def test_the_transcript_of_the_readme_is_what_the_demo_prints(simulated: Telling) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    (transcript,) = (block for block in blocks if "you │ /hedge BTC" in block)
    (proof,) = (block for block in blocks if block.startswith("proof:"))

    assert transcript in simulated[1]
    assert proof == simulated[0].proof + "\n"
