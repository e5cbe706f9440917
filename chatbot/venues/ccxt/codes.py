"""Answers that prove a refusal: the venue's code and the error class it stands for.

Nothing else proves that an order was not placed. Codes of repeated client ids are left out on purpose: they
mean that an earlier attempt exists. So are those that say no more than "try again".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

MARGIN, ORDER, MODE = "InsufficientMargin", "InvalidOrder", "WrongPositionMode"
KEY, RIGHT, SYMBOL = "BadCredentials", "MissingPermission", "InstrumentUnavailable"
OTHER, PACE = "VenueRejected", "RateLimited"


def codes(table: Mapping[str, str]) -> dict[str, str]:
    """Kind to codes, spelled in one line each, as code to kind."""
    return {code: kind for kind, listed in table.items() for code in listed.split()}


def numbered(prefix: str, numbers: Iterable[int]) -> str:
    return " ".join(f"{prefix}{number}" for number in numbers)


# developers.binance.com: USDⓈ-M error codes
BINANCE = codes(
    {
        OTHER: "-1021 -1099 -4109 -4192",
        PACE: "-1003 -1015",
        KEY: "-1002 -1022 -2014 -2015",
        RIGHT: "-4087 -4088 -4402",
        MARGIN: "-2018 -2019 -2028 -4050 -4051 -4104",
        MODE: "-4060 -4061 -4067 -4068",
        SYMBOL: "-1121 -1122 -4140 -4141",
        ORDER: "-1013 -1100 -1101 -1102 -1103 -1104 -1105 -1106 -1108 -1111 -1112 -1113 -1114 -1115 -1116"
        " -1117 -1118 -1119 -1128 -1130 -2010 -2016 -2020 -2021 -2022 -2023 -2024 -2025 -2026 -2027"
        " -4000 -4001 -4002 -4003 -4004 -4005 -4006 -4007 -4008 -4012 -4013 -4014 -4015 -4016 -4021 -4022"
        " -4023 -4024 -4028 -4029 -4030 -4044 -4045 -4047 -4048"
        " -4049 -4054 -4055 -4056 -4057 -4118 -4131 -4137"
        " -4138 -4161 -4164 -4168 -4183 -4184 -4400 -4509 -5021 -5022",
    }
)

# bybit-exchange.github.io: v5 error codes. 10000, 10016, 10019 and 110072 prove nothing.
BYBIT = codes(
    {
        OTHER: "10002",
        PACE: "10006 10018",
        KEY: "10003 10004 33004",
        RIGHT: "10005 10010 10024 10027 10028 10029",
        MARGIN: "110004 110006 110007 110012 110014 110044 110045 110051 110052 110053 110066",
        MODE: "110024 110028 110056 110058",
        SYMBOL: "110023 110074 110098",
        ORDER: "10001 110003 110009 110011 110013 110017 110018 110020 110021 110022 110029 110032 110035"
        " 110038 110039 110040 110046 110047 110048 110049 110050 110055 110057 110090 110092 110093 110094"
        " 110095 110096 110097 110099 110100 3100326",
    }
)

# www.okx.com: v5 error codes. 50001, 50004, 50013, 50026, 51016 and 51149 prove nothing.
OKX = codes(
    {
        OTHER: "50102 50112 51010 51030 51031 51113 51500",
        PACE: "50011 50061",
        KEY: "50101 50103 50104 50105 50106 50107 50111 50113 50119",
        RIGHT: "50100 50110 50114 50120 50123",
        MARGIN: "51008 51119 51127 51131 51502 59103 59113 59200 59301 59304",
        MODE: "59000 51039",
        SYMBOL: "51001 51021 51022 51027 51028 51087",
        ORDER: "51000 51002 51003 51004 51005 51006 51007 51014 51015 51020 51023 51025 51046 51047 51048"
        " 51049 51050 51051 51052 51053 51111 51112 51115 51116 51121 51122 51138 51169 51202 51250 51251"
        " 51252 51254 51277 51278 51279 51280 51281 51282 51284 51285 51286 51287 51302 59100 59101 59102"
        " 59104 59105 59106 59107 59108 59109 59300",
    }
)

# Of the others, codes are fewer and less certain; what is not listed proves nothing.
BITGET = codes(
    {
        OTHER: "40008",
        PACE: "429 40010",
        KEY: "40001 40002 40003 40006 40009 40011 40012 40036 40037",
        RIGHT: "40014 40018 40022",
        MARGIN: "40754 40762 43012",
        MODE: "40774 40919 45004",
        SYMBOL: "40034 40309",
        ORDER: "40017 40019 40020 40757 40804 40808 40812 40813 40836 43011 45110 45111 45112 45115 22002",
    }
)
GATE = codes(
    {
        OTHER: "REQUEST_EXPIRED",
        PACE: "TOO_MANY_REQUESTS",
        KEY: "INVALID_KEY INVALID_SIGNATURE MISSING_REQUIRED_HEADER",
        RIGHT: "FORBIDDEN READ_ONLY IP_FORBIDDEN",
        MARGIN: "INSUFFICIENT_AVAILABLE BALANCE_NOT_ENOUGH MARGIN_BALANCE_NOT_ENOUGH",
        MODE: "POSITION_DUAL_MODE POSITION_HOLDING",
        SYMBOL: "CONTRACT_NOT_FOUND CONTRACT_IN_DELISTING",
        ORDER: "INVALID_PARAM_VALUE INVALID_PROTOCOL REDUCE_EXCEEDED REDUCE_ONLY_FAIL LEVERAGE_TOO_HIGH"
        " LEVERAGE_TOO_LOW RISK_LIMIT_EXCEEDED PRICE_TOO_DEVIATED ORDER_POC_IMMEDIATE SIZE_TOO_LARGE",
    }
)
KUCOIN = codes(
    {
        OTHER: "400002",
        PACE: "429000 200002",
        KEY: "400001 400003 400004 400005 411100",
        RIGHT: "400006 400007",
        MARGIN: "200003 300003",
        MODE: "330005 330011",
        SYMBOL: "200001 300008",
        ORDER: "100001 100004 300000 300001 300009 300012 300018",
    }
)
BINGX = codes(
    {
        OTHER: "100421 109400",
        PACE: "100410 109429",
        KEY: "100001 100412 100413",
        RIGHT: "100004 100419",
        MARGIN: "100202 101204 110424",
        MODE: "101414",
        SYMBOL: "109425",
        ORDER: "100400 101205 101206 101209 101253 101400 110409 110411 110412 110413",
    }
)
PHEMEX = codes(
    {
        KEY: "10500 401",
        RIGHT: "11091 39007",
        MARGIN: "11001 11002 11003 11020 11082",
        MODE: "39108 20004",
        SYMBOL: "19999 11087",
        ORDER: "10003 11004 11005 11006 11009 11010 11011 11012 11013 11014 11015 11021 11027 11028 11029"
        " 11030 11031 11032 11033 11034 11035 11036 11039 11043 11044 11058 11107 39998",
    }
)
# The address scheme and the codes of Binance.
ASTER = BINANCE

# The venue has no such order: proves its absence for a look-up or a cancellation, never for an order sent.
ABSENT = {
    "binance": frozenset({"-2011", "-2013"}),
    "bybit": frozenset({"110001"}),
    "okx": frozenset({"51400", "51401", "51402", "51405", "51410", "51503", "51603"}),
    "bitget": frozenset({"40109", "43001", "43025"}),
    "gate": frozenset({"ORDER_NOT_FOUND", "AUTO_ORDER_NOT_FOUND"}),
    "kucoin": frozenset({"100001", "400100"}),
    "bingx": frozenset({"80016", "109414", "109421"}),
    "phemex": frozenset({"10002", "39996"}),
    "aster": frozenset({"-2011", "-2013"}),
}
# The setting was so before.
UNCHANGED = {
    "binance": frozenset({"-4046", "-4059"}),
    "bybit": frozenset({"110025", "110026", "110043"}),
    "aster": frozenset({"-4046", "-4059"}),
    "gate": frozenset({"NO_CHANGE"}),
    "kucoin": frozenset({"330009"}),
}
