"""Telegram: updates in, cards out. The only package that imports the telegram library."""

from chatbot.platforms.telegram.client import TelegramClient
from chatbot.platforms.telegram.messenger import TelegramMessenger
from chatbot.platforms.telegram.platform import TelegramPlatform, own_name
from chatbot.platforms.telegram.webhook import Webhook

__all__ = ["TelegramClient", "TelegramMessenger", "TelegramPlatform", "Webhook", "own_name"]
