"""How each exchange is asked: ``common.py`` through ccxt's unified methods, the others natively."""
