"""The peer: what a newcomer writes with python-telegram-bot, without anything that Hedgerow does."""

from __future__ import annotations

import logging
from typing import Any

from telegram import Update
from telegram.ext import Application, ApplicationBuilder, ContextTypes, MessageHandler, filters


async def echo(update: Update, _: ContextTypes.DEFAULT_TYPE) -> None:
    if update.message is not None and update.message.text is not None:
        await update.message.reply_text(update.message.text)


def run_ptb(api_url: str, token: str, *, concurrent: bool = False) -> None:
    """``concurrent``: up to 256 updates at a time; the default is one after the other."""
    logging.disable(logging.CRITICAL)
    builder = ApplicationBuilder().token(token).base_url(f"{api_url}/bot")
    if concurrent:
        builder = builder.concurrent_updates(True)
    application: Application[Any, Any, Any, Any, Any, Any] = builder.build()
    application.add_handler(MessageHandler(filters.TEXT, echo))
    application.run_polling()
