"""Telegram: updates in, cards out. The only package that imports the telegram library."""

from chatbot.platforms.telegram.client import TelegramClient
from chatbot.platforms.telegram.messenger import TelegramMessenger
from chatbot.platforms.telegram.platform import TelegramPlatform
from chatbot.platforms.telegram.webhook import Webhook

__all__ = ["TelegramClient", "TelegramMessenger", "TelegramPlatform", "Webhook"]
