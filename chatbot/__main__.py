"""The command line: parse, load settings, run; nothing else."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from chatbot.errors import HedgerowError, SettingsError
from chatbot.log import configure_logging
from chatbot.settings import Settings, load_settings

# What a command needs is imported when it runs: `--help` and a wrong setting answer at once.


def _run(_: argparse.Namespace) -> int:
    from chatbot import running  # noqa: PLC0415

    return running.run(_settings())


def _check(_: argparse.Namespace) -> int:
    from chatbot import running  # noqa: PLC0415

    return running.check(_settings(), sys.stdout)


def _demo(arguments: argparse.Namespace) -> int:
    from chatbot import demo  # noqa: PLC0415

    return demo.main(arguments.data, picture=arguments.picture)


def _invite(_: argparse.Namespace) -> int:
    from chatbot import keeping  # noqa: PLC0415

    return keeping.invite(_settings(), sys.stdout)


def _rotate_key(_: argparse.Namespace) -> int:
    from chatbot import keeping  # noqa: PLC0415

    return keeping.rotate_key(_settings(), sys.stdout)


def _forget_keys(arguments: argparse.Namespace) -> int:
    from chatbot import keeping  # noqa: PLC0415

    return keeping.forget_keys(_settings(), sys.stdout, sure=arguments.yes)


def _backup(arguments: argparse.Namespace) -> int:
    from chatbot import safekeeping  # noqa: PLC0415

    return safekeeping.back_up(_settings(), sys.stdout, arguments.file)


def _restore(arguments: argparse.Namespace) -> int:
    from chatbot import safekeeping  # noqa: PLC0415

    return safekeeping.restore(_settings(), sys.stdout, arguments.file)


def _settings() -> Settings:
    settings = load_settings()
    configure_logging(settings.log.format, settings.log.level, settings.secrets)
    return settings


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hedgerow",
        description="Lock the profit of a perpetual position from a chat, and get out in the right order.",
    )
    parser.add_argument("--version", action="version", version=f"hedgerow {_version()}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add(commands, "run", _run, "start the bot: Telegram if a token is set, else a chat in this terminal")
    demo = _add(commands, "demo", _demo, "the whole story on paper, in under a minute; needs no settings")
    demo.add_argument(
        "--data", type=Path, metavar="CSV", help="replay real prices: ts,mark,mid,index,funding_rate"
    )
    demo.add_argument(
        "--picture", type=Path, metavar="PNG", help="also draw it: PNG, and a dark twin beside it"
    )
    _add(commands, "check", _check, "check settings, database, clock and market, and say what is wrong")
    backup = _add(commands, "backup", _backup, "copy the database into one file; also while the bot runs")
    backup.add_argument(
        "file", type=Path, nargs="?", metavar="FILE", help="a new file, or the folder for one named by date"
    )
    restore = _add(commands, "restore", _restore, "make such a file the database, where there is none yet")
    restore.add_argument("file", type=Path, metavar="FILE", help="what hedgerow backup has made")
    _add(commands, "invite", _invite, "make a code that admits one person; also while the bot runs")
    _add(commands, "rotate-key", _rotate_key, "make a new master key and wrap all exchange keys with it")
    forget = _add(commands, "forget-keys", _forget_keys, "delete the exchange keys of all users, for good")
    forget.add_argument("--yes", action="store_true", help="yes, all of them")
    return parser


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    action: Callable[[argparse.Namespace], int],
    text: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(action=action)
    return parser


def _version() -> str:
    try:
        return version("hedgerow")
    except PackageNotFoundError:
        return "(not installed)"


def main(arguments: Sequence[str] | None = None) -> int:
    parsed = _parser().parse_args(arguments)
    try:
        return int(parsed.action(parsed))
    except SettingsError as error:
        print(error.message, file=sys.stderr)
        return 2
    except HedgerowError as error:
        print(f"hedgerow: {error.message}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0


if __name__ == "__main__":
    sys.exit(main())
