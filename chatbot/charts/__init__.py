"""Charts: what one shows (``description``), where it goes (``layout``), as PNG (``drawing``), as text
(``lines``).

A leaf: it draws what it is told and knows neither hedges nor venues. Exact values end here, as floats.
"""
