"""From a request to replies: who may speak, what is meant, and what is said when it went wrong."""

from __future__ import annotations

import asyncio
import difflib
import logging
import re
import weakref
from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2s

from chatbot.chat import Button, Reply, Request, RequestKind, Severity, Text, UserRef
from chatbot.errors import (
    BadArgument,
    Busy,
    Conflict,
    NotFound,
    OneWayMode,
    OutcomeUnknown,
    QuoteExpired,
    UserError,
    VenueError,
    VenueUnavailable,
    database_is_away,
)
from chatbot.ports import User
from handlers.accounts import secret
from handlers.arguments import AmbiguousSymbol
from handlers.buttons import Decision, InvalidButton, Navigation, fits
from handlers.context import Call, Command, Services
from handlers.decisions import decide, of_quote
from handlers.elsewhere import NOT_HERE, SEEKERS, accounts_with, on_account, which_account
from handlers.modes import one_way_card
from handlers.subjects import placed
from handlers.text import echo, sentence

log = logging.getLogger(__name__)

# What mends or shows. Caps are not loosened by a tap, and an example of an opening is no advice to open.
_WAY_OUT = re.compile(r"`(/(?:hedge|close|status|adopt|panic|connect|settings account) [^`]+)`")
_INVITE = re.compile(r"/start\s+([A-Za-z0-9_-]{8,64})")
MAX_TEXT = 1_000  # longer than any command can be
MAX_TOAST = 200
# What a tap meets every day and a word beside the button says well enough.
_TOAST_ONLY = (InvalidButton, QuoteExpired, NotFound, Busy)


class Router:
    def __init__(self, services: Services, commands: Sequence[Command]) -> None:
        self._services = services
        self._commands = tuple(commands)
        self._by_name = {command.name: command for command in commands}
        # Kept only while somebody holds or waits for them.
        self._locks: weakref.WeakValueDictionary[UserRef, asyncio.Lock] = weakref.WeakValueDictionary()

    @property
    def services(self) -> Services:
        return self._services

    async def handle(self, request: Request) -> Sequence[Reply]:
        """Never raises for what a user or a venue did; the replies are in the order to be sent.

        Raises StorageError where the database is away.
        """
        if not self._services.admission.allows(request.user):
            return await self._to_a_stranger(request)
        if not _concerns_us(request):
            return ()
        lock = self._locks.setdefault(request.user, asyncio.Lock())
        async with lock:
            return await self._answer(request)

    async def _to_a_stranger(self, request: Request) -> Sequence[Reply]:
        """An invite is all that a stranger can bring."""
        code = _invite_of(request)
        if code is None:
            return _to_a_stranger(request)
        try:
            await self._services.admission.redeem(request.user, code)
        except UserError as error:
            return (explain(error),)
        log.info("an invite was used", extra={"user": str(request.user)})
        return await self.handle(replace(request, text="/start"))

    async def _answer(self, request: Request) -> Sequence[Reply]:
        try:
            return await self._dispatch(request)
        except Exception as error:
            if database_is_away(error):
                raise  # no answer could be stored either; the inbox asks again
            # Whatever a command meets, the bot goes on for everybody else.
            number = error_number(request)
            log.exception("request failed", extra={"error": number, "user": str(request.user)})
            return _apology(request, number)

    async def _dispatch(self, request: Request) -> Sequence[Reply]:
        services = self._services
        user = await services.people.meet(request.user, request.chat, request.user_name)
        if request.kind is RequestKind.COMMAND:
            return await self._command(request, user, request.text)
        if request.kind is RequestKind.SECRET:
            return await self._secret(request, user)
        try:
            meaning = services.buttons.decode(request.text, user=request.user, chat=request.chat)
        except InvalidButton as error:
            return (Reply(toast=_toast(error.message)),)
        match meaning:
            case Navigation(command, replaces):
                return await self._navigate(request, user, command, replaces=replaces)
            case Decision():
                return await self._decide(request, user, meaning)

    async def _secret(self, request: Request, user: User) -> Sequence[Reply]:
        call = Call(request, user, (), self._services, self._commands)
        try:
            return (await secret(call),)
        except (UserError, VenueError, Conflict) as error:
            return (_refusal(call, error),)

    async def _navigate(
        self, request: Request, user: User, command: str, *, replaces: bool
    ) -> Sequence[Reply]:
        replies = await self._command(request, user, command)
        if not replaces or not replies:
            return replies
        return (replace(replies[0], edit=True), *replies[1:])

    async def _decide(self, request: Request, user: User, decision: Decision) -> Sequence[Reply]:
        call = Call(request, user, (), self._services, self._commands)
        try:
            return await decide(call, decision)
        except _TOAST_ONLY as error:
            return (Reply(toast=_toast(error.message)),)
        except (UserError, VenueError, Conflict) as error:
            return (_refusal(await of_quote(call, decision), error),)

    async def _command(self, request: Request, user: User, text: str) -> Sequence[Reply]:
        words = text[:MAX_TEXT].split()
        if not words or not words[0].startswith("/"):
            return (_say("I listen to commands; /help lists them."),)
        name, words = words[0].lower(), words[1:]
        command = self._by_name.get(name.partition("@")[0])
        if command is None:
            return (self._unknown(name),)
        call = Call(request, user, tuple(words), self._services, self._commands)
        if command.private and not request.chat.private:
            return (_say(f"`{command.name}` only in a private chat, please: others can read this one."),)
        if len(text) > MAX_TEXT:
            return (_complain(BadArgument("That is too long for a command; nothing was done."), command),)
        return await self._call(call, command)

    async def _call(self, call: Call, command: Command) -> Sequence[Reply]:
        try:
            answer = await command.handler(call)
        except (UserError, VenueError, Conflict) as error:
            return await self._failed(call, command, error)
        return (answer,) if isinstance(answer, Reply) else answer

    async def _failed(
        self, call: Call, command: Command, error: UserError | VenueError | Conflict
    ) -> Sequence[Reply]:
        """What is not here may be on another account."""
        if isinstance(error, NOT_HERE) and command.name in SEEKERS:
            there = await accounts_with(call)
            if len(there) == 1:
                return await self._call(on_account(call, there[0]), command)
            if there:
                return (which_account(call, command, there),)
        return (await _complaint(call, command, error),)

    def _unknown(self, name: str) -> Reply:
        near = difflib.get_close_matches(name[:32], self._by_name, n=1, cutoff=0.6)
        hint = f"Did you mean `{near[0]}`?" if near else "/help lists what I know."
        return _say(f"I do not know `{echo(name)}`. {hint}")


# --- words ----------------------------------------------------------------------------------------


def error_number(request: Request) -> str:
    """The same for the same request: told to the user and written to the log."""
    return f"E-{blake2s(request.id.encode('utf-8', 'surrogatepass'), digest_size=3).hexdigest()}"


def _concerns_us(request: Request) -> bool:
    """In a group only what is meant for us; in private a plain word gets a pointer to the help."""
    if request.kind is not RequestKind.COMMAND or request.chat.private:
        return True
    return request.text.lstrip().startswith("/")


def _invite_of(request: Request) -> str | None:
    match = _INVITE.fullmatch(request.text.strip())
    private = request.chat.private and request.kind is RequestKind.COMMAND
    return match[1] if match and private else None


def _to_a_stranger(request: Request) -> Sequence[Reply]:
    if not request.chat.private:
        return ()
    if request.kind is RequestKind.CLICK:
        return (Reply(toast=_toast(f"I do not know you. Your id is {request.user}.")),)
    return (_say(f"I do not know you yet: give the owner of this bot your id, `{echo_id(request.user)}`."),)


def echo_id(user: UserRef) -> str:
    return "".join(char for char in str(user)[:64] if char.isalnum() or char in ":_-")


def _apology(request: Request, number: str) -> Sequence[Reply]:
    words = f"Something went wrong on my side ({number}). Look at /status before you try again."
    if request.kind is RequestKind.CLICK:
        return (
            Reply(
                blocks=(Text(words),), severity=Severity.WARNING, toast=f"Something went wrong ({number})."
            ),
        )
    return (_say(words, Severity.WARNING),)


async def _complaint(call: Call, command: Command, error: UserError | VenueError | Conflict) -> Reply:
    match error:
        case AmbiguousSymbol():
            return _choice(call, command, error)
        case BadArgument():
            return _complain(error, command)
        case OneWayMode():
            return one_way_card((await placed(call)).look, error)
        case _:
            return _refusal(await _placed(call), error)


async def _placed(call: Call) -> Call:
    """As far as the words name an account that there is."""
    try:
        return await placed(call)
    except UserError:
        return call


def _refusal(call: Call, error: UserError | VenueError | Conflict) -> Reply:
    if not isinstance(error, UserError):
        return explain(error)
    error.args = (call.look.placed(error.message),)
    return replace(explain(error), buttons=_ways_out(call, error))


def _ways_out(call: Call, error: UserError) -> tuple[tuple[Button, ...], ...]:
    """A command that the reason names can be tapped: nobody likes to type in a hurry."""
    named = dict.fromkeys(_WAY_OUT.findall(error.message))
    return tuple((call.button(text, text),) for text in named if fits(text))


def explain(error: UserError | VenueError | Conflict) -> Reply:
    """One sentence on what was wrong, and what to do where that is not the same."""
    match error:
        case BadArgument():
            return _say(_with_form(error))
        case UserError():
            return _say(error.message)
        case VenueUnavailable():
            return _say(f"{sentence(error.message)} Try again in a moment.", Severity.WARNING)
        case OutcomeUnknown():
            return _say(f"{sentence(error.message)} /status shows what is known.", Severity.WARNING)
        case VenueError():
            return _say(
                f"The exchange refused: {sentence(error.message)} Nothing was done.", Severity.WARNING
            )
        case _:
            return _say("That changed while you were typing; look at /status and try again.")


def _complain(error: BadArgument, command: Command) -> Reply:
    return _say(_with_form(error.with_form(form=command.form, example=command.example)))


def _with_form(error: BadArgument) -> str:
    form = f"\nForm: `{error.form}`" if error.form else ""
    example = f"\nExample: `{error.example}`" if error.example else ""
    return f"{error.message}{form}{example}"


def _choice(call: Call, command: Command, error: AmbiguousSymbol) -> Reply:
    """The same command once for each market that was meant, as far as a button can carry it."""
    lines = [(choice, _with_word(call, command, error.word, choice)) for choice in error.choices]
    buttons = tuple((call.button(choice, text, replaces=True),) for choice, text in lines if fits(text))
    return Reply(blocks=(Text(error.message),), buttons=buttons)


def _with_word(call: Call, command: Command, word: str, choice: str) -> str:
    words = [choice if typed == word else typed for typed in call.words]
    return " ".join([command.name, *words])


def _say(text: str, severity: Severity = Severity.NEUTRAL) -> Reply:
    return Reply(blocks=(Text(text),), severity=severity)


def _toast(text: str) -> str:
    plain = text.replace("**", "").replace("`", "")
    return plain if len(plain) <= MAX_TOAST else plain[: MAX_TOAST - 1] + "…"
