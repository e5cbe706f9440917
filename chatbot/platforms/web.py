"""The page on which the key of an exchange account is handed in, once.

What is here is all: no script, style or picture of anybody else's. Looking at the page uses nothing up; a
form that was refused comes back with the reason and without what was entered.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from string import Template
from urllib.parse import urlsplit

from aiohttp import web

from chatbot.errors import NotFound, StorageError, UserError, VenueError
from chatbot.ports import Credentials, KeyForm, KeyPage, KeyTaken

FORM_LIMIT = 16 * 1024  # bytes
_FILES = {"page.css": "text/css", "page.js": "text/javascript"}
# Telegram shows the page in a frame of its web client; nobody else may.
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors https://web.telegram.org https://*.web.telegram.org"
)
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}

log = logging.getLogger(__name__)


class ConnectPage:
    """``public_url`` may have a path of its own; it is expected to arrive here."""

    def __init__(self, desk: KeyPage, public_url: str) -> None:
        self._desk = desk
        self._prefix = urlsplit(public_url).path.rstrip("/")

    def routes(self) -> list[web.RouteDef]:
        page = f"{self._prefix}/connect/{{token:[A-Za-z0-9_-]{{43}}}}"
        return [
            web.get(f"{self._prefix}/connect/-/{{name:page\\.(?:css|js)}}", self._file),
            web.get(page, self._show),
            web.post(page, self._take),
        ]

    async def _file(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        headers = {**_HEADERS, "Cache-Control": "public, max-age=300"}
        return web.Response(text=_source(name), content_type=_FILES[name], headers=headers)

    async def _show(self, request: web.Request) -> web.Response:
        try:
            form = await self._desk.look(request.match_info["token"])
        except NotFound as error:
            return _message("This link does not work", error.message, status=410)
        except StorageError:
            return _out_of_order()
        return _form(form)

    async def _take(self, request: web.Request) -> web.Response:
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
            return _message("Not from here", "Open the page from the chat.", status=403)
        if (request.content_length or 0) > FORM_LIMIT:
            return _message("Too long", "No key is that long.", status=413)
        token = request.match_info["token"]
        fields = await request.post()
        try:
            return await self._answer(token, {name: str(value) for name, value in fields.items()})
        except StorageError:
            return _out_of_order()

    async def _answer(self, token: str, fields: Mapping[str, str]) -> web.Response:
        proof = fields.get("init_data", "")
        try:
            taken = await self._desk.hand_in(token, _credentials(fields), proof=proof)
        except NotFound as error:
            return _message("This link does not work", error.message, status=410)
        except (UserError, VenueError) as error:
            return await self._again(token, error.message, proof)
        return _done(taken)

    async def _again(self, token: str, problem: str, proof: str) -> web.Response:
        try:
            form = await self._desk.look(token)
        except NotFound as error:
            return _message("Not connected", f"{problem} {error.message}", status=410)
        return _form(form, problem, proof)


def _credentials(fields: Mapping[str, str]) -> Credentials:
    return Credentials(*(fields.get(name, "").strip() for name in ("api_key", "api_secret", "passphrase")))


# --- what is seen -----------------------------------------------------------------------------------


def _form(form: KeyForm, problem: str = "", proof: str = "") -> web.Response:
    fields = [
        _field("api_key", "API key", autofocus=True),
        _field("api_secret", "Secret"),
        *([_field("passphrase", "Passphrase of the key")] if form.passphrase else []),
    ]
    body = _template("form.html").substitute(
        venue=escape(_name(form.venue)),
        problem=f'<p class="problem" role="alert">{escape(_plain(problem))}</p>' if problem else "",
        fields="\n".join(fields),
        proof=escape(proof),
        until=f"{form.expires_at:%H:%M} UTC",
    )
    return _page(f"Connect {_name(form.venue)}", body, status=422 if problem else 200)


def _field(name: str, label: str, *, autofocus: bool = False) -> str:
    focus = " autofocus" if autofocus else ""
    return _template("field.html").substitute(name=name, label=escape(label), focus=focus).rstrip()


def _done(taken: KeyTaken) -> web.Response:
    if taken.handed_over:
        text = (
            f"{_name(taken.venue)}, key ending in {taken.hint}. The chat tells in a moment what came of it."
        )
        return _message("Handed in", text, mark="…")
    if taken.doubtful:
        text = "One question is left: go back to the chat and answer it there. Nothing is stored before that."
        return _message("Almost done", text, mark="…")
    text = (
        f"{_name(taken.venue)}, key ending in {taken.hint}. "
        "The chat shows the account; you can close this page."
    )
    return _message("Connected", text, mark="✓")


def _out_of_order() -> web.Response:
    return _message("Not now", "Something is wrong on my side. Try again in a moment.", status=503)


def _message(title: str, text: str, *, status: int = 200, mark: str = "!") -> web.Response:
    kind = "good" if status == 200 else "bad"
    body = _template("message.html").substitute(
        title=escape(title), text=escape(_plain(text)), kind=kind, mark=escape(mark)
    )
    return _page(title, body, status=status)


def _page(title: str, body: str, *, status: int) -> web.Response:
    html = _template("layout.html").substitute(title=escape(title), body=body)
    return web.Response(text=html, status=status, content_type="text/html", headers=_HEADERS)


def _plain(text: str) -> str:
    return text.replace("**", "").replace("`", "")


def _name(venue: str) -> str:
    return venue.upper() if len(venue) <= 3 else venue.capitalize()


def _template(name: str) -> Template:
    return Template(_source(name))


def _source(name: str) -> str:
    return (files("chatbot.platforms") / "page" / name).read_text(encoding="utf-8")
