"""What is written for operators names things that exist: paths, settings, commands, metrics, sections."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chatbot.__main__ import _parser
from chatbot.observing import faults
from chatbot.observing.health import Health
from chatbot.observing.instruments import Instruments
from chatbot.observing.reading import Reading
from chatbot.platforms.ops import OpsPages
from chatbot.settings import load_settings, setting_names
from chatbot.storage.master_key import FILE_NAME, MasterKey, system_key
from tests.test_docs import DOCS, PAGES, ROOT, text

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
DEPLOY = ROOT / "deploy"
UNIT, CONTAINER, RULES = "deploy/hedgerow.service", "deploy/Containerfile", "deploy/alerts.rules.yml"


def assignments(name: str) -> dict[str, str]:
    """Settings that a file of ours sets."""
    return dict(re.findall(r"(HEDGEROW_[A-Z_]+)=(\S+)", text(name)))


@pytest.mark.parametrize("name", [UNIT, CONTAINER])
def test_the_settings_it_makes_are_valid_ones(name: str) -> None:
    made = assignments(name)
    settings = load_settings(env_file=None, environ=made)

    assert set(made) == {"HEDGEROW_DATABASE_URL", "HEDGEROW_LOG__FORMAT", "HEDGEROW_OPS__PORT"}
    assert settings.ops.host == "127.0.0.1"
    assert settings.database_path is not None
    assert settings.database_path.is_absolute()


@pytest.mark.parametrize("path", sorted(DEPLOY.iterdir()), ids=lambda path: path.name)
def test_no_file_names_a_setting_that_does_not_exist(path: Path) -> None:
    named = re.findall(r"HEDGEROW_[A-Z_]+", path.read_text())

    assert [name for name in named if name not in setting_names()] == []


def pages() -> set[str]:
    never: object = None
    made = OpsPages(live=never, ready=never, metrics=never)  # type: ignore[arg-type]
    return {route.path for route in made.routes()}


# --- the unit -----------------------------------------------------------------------------------


def directives() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^([A-Z]\w+)=(.*)$", text(UNIT), re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


def test_the_service_manager_accepts_the_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("there is no systemd-analyze here")
    # The program is not installed here: any other stands in its place.
    unit = tmp_path / "hedgerow.service"
    unit.write_text(text(UNIT).replace("/usr/local/lib/hedgerow/bin/hedgerow", sys.executable))
    checked = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, check=False)

    assert (checked.returncode, checked.stderr) == (0, "")


def test_the_unit_starts_a_command_that_exists_and_waits_to_be_told() -> None:
    unit = directives()
    (program, *arguments) = unit["ExecStart"][0].split()

    assert Path(program).name == "hedgerow"
    assert _parser().parse_args(arguments).action
    assert unit["Type"] == ["notify"]
    assert unit["Restart"] == ["on-failure"]
    assert unit["RestartPreventExitStatus"] == ["2"], "as main() ends with a wrong setting"
    assert unit["WatchdogSec"] == ["30s"]


def test_the_master_key_comes_by_the_name_that_is_looked_for(tmp_path: Path) -> None:
    ((name, _),) = [credential.split(":") for credential in directives()["LoadCredential"]]
    (tmp_path / name).write_text(MasterKey.new().text)

    assert name == FILE_NAME
    assert system_key(tmp_path) is not None


def test_the_unit_gives_away_what_a_bot_does_not_need() -> None:
    unit = directives()
    hardened = {
        "NoNewPrivileges": "yes", "ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes",
        "PrivateDevices": "yes", "CapabilityBoundingSet": "", "RestrictNamespaces": "yes", "UMask": "0077",
        "LimitCORE": "0", "ProtectProc": "invisible",
    }  # fmt: skip

    assert {name: unit[name] for name in hardened} == {name: [value] for name, value in hardened.items()}


def test_the_database_is_in_the_one_folder_that_can_be_written() -> None:
    unit = directives()
    folder = f"/var/lib/{unit['StateDirectory'][0]}"

    assert unit["WorkingDirectory"] == [folder]
    assert assignments(UNIT)["HEDGEROW_DATABASE_URL"] == f"sqlite+aiosqlite:///{folder}/hedgerow.db"


# --- the container ------------------------------------------------------------------------------


def test_the_container_copies_what_exists_and_nothing_by_the_folder() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text(CONTAINER), re.MULTILINE)
    sources = [source for line in copied for source in line.split()]

    assert set(sources) == {"requirements.lock", "pyproject.toml", "README.md", "chatbot", "handlers"}
    assert all((ROOT / source).exists() for source in sources)


def test_the_container_installs_by_hash_and_runs_as_nobody_in_particular() -> None:
    container = text(CONTAINER)
    stages = re.findall(r"^FROM (\S+)", container, re.MULTILINE)

    assert stages == ["docker.io/library/python:3.11-slim"] * 2
    assert "--require-hashes --requirement requirements.lock" in container
    assert re.search(r"^USER 10001:10001$", container.partition("--from=build")[2], re.MULTILINE)
    assert 'ENTRYPOINT ["hedgerow"]' in container
    (command,) = re.findall(r'^CMD \["(\w+)"\]$', container, re.MULTILINE)
    assert _parser().parse_args([command]).action


def test_the_health_check_asks_the_port_that_is_set_for_a_page_that_is_there() -> None:
    ((port, page),) = re.findall(r"http://127\.0\.0\.1:(\d+)(/\w+)", text(CONTAINER))

    assert port == assignments(CONTAINER)["HEDGEROW_OPS__PORT"] == assignments(UNIT)["HEDGEROW_OPS__PORT"]
    assert page in pages()


# --- alerts, metrics, runbook -------------------------------------------------------------------


def rules() -> dict[str, Mapping[str, str]]:
    """By name: the expression and the section of the runbook."""
    found: dict[str, Mapping[str, str]] = {}
    for block in re.split(r"^      - alert: ", text(RULES), flags=re.MULTILINE)[1:]:
        name, _, rest = block.partition("\n")
        expression = re.search(r"expr: (?:>-\n)?(.+?)\n(?:        \w)", rest, re.DOTALL)
        runbook = re.search(r"runbook: (\w+)$", rest, re.MULTILINE)
        assert expression is not None, name
        assert runbook is not None, name
        found[name] = {"expr": expression[1], "runbook": runbook[1]}
    return found


def sections() -> list[str]:
    return re.findall(r"^## (\w+)$", text("docs/runbook.md"), re.MULTILINE)


def metrics() -> set[str]:
    """Every name that is exposed, those with labels too, of which there are no samples yet."""
    shown: set[str] = set()
    for line in Instruments("1").text().decode().splitlines():
        if match := re.match(r"# TYPE (\w+) (\w+)", line):
            shown.add(match[1])
            shown |= {f"{match[1]}_bucket"} if match[2] == "histogram" else set()
    return shown


def test_every_alert_watches_metrics_that_exist() -> None:
    known = metrics()
    assert len(rules()) > 15
    for name, rule in rules().items():
        watched = set(re.findall(r"hedgerow_\w+", rule["expr"]))
        assert watched or name == "HedgerowDown", name
        assert watched <= known, name


def test_every_alert_and_every_fault_has_its_section_of_the_runbook_and_no_section_is_idle() -> None:
    led_to = {rule["runbook"] for rule in rules().values()}

    assert led_to | set(faults.RULES) == set(sections())
    assert len(sections()) == len(set(sections()))


def test_every_section_names_the_metrics_of_its_alerts() -> None:
    parts = re.split(r"^## (\w+)$", text("docs/runbook.md"), flags=re.MULTILINE)
    bodies = dict(zip(parts[1::2], parts[2::2], strict=True))
    for name, rule in rules().items():
        for metric in re.findall(r"hedgerow_\w+", rule["expr"]):
            assert metric.removesuffix("_bucket") in bodies[rule["runbook"]], (name, metric)


@pytest.mark.parametrize("page", ["runbook.md", "operations.md"])
def test_no_page_names_a_metric_that_does_not_exist(page: str) -> None:
    named = set(re.findall(r"hedgerow_\w+", (DOCS / page).read_text()))

    assert named
    assert named <= metrics()


def test_every_metric_is_explained() -> None:
    explained = set(re.findall(r"hedgerow_\w+", text("docs/operations.md")))
    ours = {name for name in metrics() if name.startswith("hedgerow_")}

    assert {name for name in ours if not name.endswith(("_created", "_bucket"))} <= explained


@pytest.mark.parametrize(
    ("alert", "threshold"),
    [
        ("HedgerowNakedLeg", faults.NAKED_AFTER),
        ("HedgerowOrderUnknown", faults.UNKNOWN_AFTER),
        ("HedgerowAlertsStuck", faults.ALERT_OWED_AFTER),
        ("HedgerowMessagesStuck", faults.MESSAGE_OWED_AFTER),
        ("HedgerowVenueAway", faults.VENUE_AWAY_AFTER),
    ],
)
def test_alerts_and_the_operators_chat_agree_when_it_is_too_long(alert: str, threshold: timedelta) -> None:
    assert rules()[alert]["expr"].endswith(f"> {threshold.total_seconds():.0f}")


def test_the_table_of_faults_says_their_thresholds() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", text("docs/operations.md"), re.MULTILINE))
    words = {
        "naked": faults.span(faults.NAKED_AFTER),
        "unknown": "2 min",
        "database": faults.span(faults.DATABASE_AFTER),
        "venue": faults.span(faults.VENUE_AWAY_AFTER),
        "deliveries": faults.span(faults.MESSAGE_OWED_AFTER),
        "lag": f"{faults.LAG_SECONDS:.0f} s",
        "job": f"{faults.JOB_FAILURES} times",
        "keys": f"{faults.KEY_REFUSALS} different keys",
    }

    assert set(rows) >= set(faults.RULES)
    assert {fault: words[fault] in rows[fault] for fault in words} == dict.fromkeys(words, True)
    assert timedelta(minutes=2) == faults.UNKNOWN_AFTER


# What is well and what is not, as Prometheus writes a series of samples, one each 15 s.
HOUR = "x240"


def _gauge(name: str, well: int, bad: int) -> tuple[dict[str, str], dict[str, str]]:
    return {name: f"{well}+0{HOUR}"}, {name: f"{bad}+0{HOUR}"}


def _counter(name: str, well: int, bad: int) -> tuple[dict[str, str], dict[str, str]]:
    return {name: f"0+{well}{HOUR}"}, {name: f"0+{bad}{HOUR}"}


def _slow(name: str, at_most: str, more: str) -> tuple[dict[str, str], dict[str, str]]:
    """Of ten a step all are quick, or none."""
    quick, slow, rest = (f'{name}_bucket{{le="{le}"}}' for le in (at_most, more, "+Inf"))
    each, none = f"0+10{HOUR}", f"0+0{HOUR}"
    return {quick: each, slow: each, rest: each}, {quick: none, slow: each, rest: each}


ORDERS = 'hedgerow_orders_total{venue="okx",outcome="%s"}'
SERIES = {
    "HedgerowDown": _gauge('up{job="hedgerow"}', 1, 0),
    "HedgerowNakedLeg": _gauge("hedgerow_naked_leg_oldest_seconds", 60, 61),
    "HedgerowOrderUnknown": _gauge("hedgerow_order_unknown_oldest_seconds", 120, 121),
    "HedgerowDatabaseDown": _gauge("hedgerow_database_up", 1, 0),
    "HedgerowHedgesFrozen": _gauge("hedgerow_hedges_frozen", 0, 1),
    "HedgerowAccountsFrozen": _gauge("hedgerow_accounts_frozen", 0, 1),
    "HedgerowAlertsStuck": _gauge("hedgerow_alert_owed_oldest_seconds", 60, 61),
    "HedgerowMessagesStuck": _gauge("hedgerow_message_owed_oldest_seconds", 300, 301),
    "HedgerowVenueAway": _gauge('hedgerow_venue_away_seconds{venue="okx"}', 300, 301),
    "HedgerowLooksStale": _gauge('hedgerow_look_oldest_seconds{venue="okx"}', 120, 121),
    "HedgerowStreamsLost": _gauge('hedgerow_streams{state="lost",venue="okx"}', 0, 1),
    "HedgerowJobFailing": _gauge('hedgerow_job_failures_in_a_row{job="looks"}', 2, 3),
    "HedgerowLoopLag": _slow("hedgerow_event_loop_lag_seconds", "0.1", "1"),
    "HedgerowKeysRefused": _counter('hedgerow_key_refusals_total{venue="okx"}', 0, 1),
    "HedgerowCommitsSlow": _slow("hedgerow_commit_seconds", "0.1", "1"),
    "HedgerowLegGap": _slow("hedgerow_leg_gap_seconds", "1", "10"),
    "HedgerowRateLimited": _counter('hedgerow_rate_limit_waited_seconds_total{venue="okx"}', 1, 100),
    "HedgerowOrdersRejected": (
        {ORDERS % "accepted": f"0+9{HOUR}", ORDERS % "rejected": f"0+1{HOUR}"},
        {ORDERS % "accepted": f"0+1{HOUR}", ORDERS % "rejected": f"0+9{HOUR}"},
    ),
}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool was not found")
def test_each_alert_fires_when_it_should_and_only_then(tmp_path: Path) -> None:
    assert SERIES.keys() == rules().keys()
    checks = [
        {
            "interval": "15s",
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "promql_expr_test": [
                {
                    "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)',
                    "eval_time": "50m",
                    "exp_samples": [{"labels": "{}", "value": fires}],
                }
            ],
        }
        for alert, both in SERIES.items()
        for fires, series in enumerate(both)
    ]
    file = tmp_path / "alerts.json"
    file.write_text(json.dumps({"rule_files": [str(ROOT / RULES)], "tests": checks}))

    done = subprocess.run(
        ["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_a_reading_that_failed_shows_no_figures_of_the_past() -> None:
    class Still:
        def now(self) -> datetime:
            return NOON

        async def sleep(self, seconds: float) -> None:
            raise AssertionError

    instruments = Instruments("1")
    instruments.show(Reading(NOON, 0.5), Health(Still()))
    shown = instruments.text().decode()

    assert "hedgerow_naked_legs NaN" in shown
    assert "hedgerow_database_up 0.0" in shown
    assert "hedgerow_reading_seconds 0.5" in shown


def test_the_documents_show_the_pages_there_are() -> None:
    rows = re.findall(r"^\| `(/\w+)` \|", text("docs/operations.md"), re.MULTILINE)

    assert set(rows) == pages() == PAGES
