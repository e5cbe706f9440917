"""A measured bot in a process of its own: ``python -m bench.child NAME API_URL TOKEN``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable

from bench.meter import answer_questions

# Only the development tools bring these, and httpx imports them where it finds them: a tenth of a second that
# nobody has who runs the bot from requirements.lock.
DEVELOPMENT_ONLY = ("click", "rich", "pygments")

# What a bot needs is imported by it alone: imports are part of its start and of its memory.


def hedgerow(_: str, __: str) -> None:
    """The program as users start it, on the settings of the environment."""
    from chatbot.__main__ import main  # noqa: PLC0415

    sys.exit(main(["run"]))


def hedgerow_unpaced(_: str, __: str) -> None:
    """The same, but sending as fast as it can."""
    from bench.unpaced import run  # noqa: PLC0415

    run()


def ptb_echo(api_url: str, token: str) -> None:
    """python-telegram-bot as its documentation sets it up."""
    from bench.echoes import run_ptb  # noqa: PLC0415

    run_ptb(api_url, token)


def ptb_echo_concurrent(api_url: str, token: str) -> None:
    from bench.echoes import run_ptb  # noqa: PLC0415

    run_ptb(api_url, token, concurrent=True)


def aiohttp_echo(api_url: str, token: str) -> None:
    from bench.raw_echo import run  # noqa: PLC0415

    run(api_url, token)


BOTS: dict[str, Callable[[str, str], None]] = {
    "hedgerow": hedgerow,
    "hedgerow-unpaced": hedgerow_unpaced,
    "ptb-echo": ptb_echo,
    "ptb-echo-concurrent": ptb_echo_concurrent,
    "aiohttp-echo": aiohttp_echo,
}


def hide(names: Iterable[str]) -> None:
    """They cannot be imported, as if they were not installed."""
    for name in names:
        sys.modules[name] = None  # type: ignore[assignment]  # the language's own way to say so


if __name__ == "__main__":
    hide(DEVELOPMENT_ONLY)
    answer_questions()
    BOTS[sys.argv[1]](*sys.argv[2:4])
