"""Real exchanges through ccxt. ``exchanges.py`` is the way in; ``quirks.py`` says what differs where."""
