"""`features`: files loaded into a store, all or nothing, and what is in it. With SQLite, and with Redis where it is."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from credit_risk.commands.cli import cli
from credit_risk.deciding.feature_store import FeatureStore, Fields, Profile
from credit_risk.deciding.redis_store import RedisStore
from credit_risk.deciding.sqlite_store import SQLiteStore
from credit_risk.portfolio.redis_profiles import RedisProfiles
from credit_risk.portfolio.sqlite_profiles import SQLiteProfiles
from credit_risk.portfolio.stores import Store
from tests.conftest import PROJECT
from tests.redis_server import redis_server

JANUARY = datetime(2026, 1, 31, 12, tzinfo=UTC)
ROWS: list[dict[str, Any]] = [
    {"customer": "C-1", "as_of": "2026-01-31T12:00:00Z", "income": 129.0, "job": "fixed"},
    {"customer": "C-2", "as_of": "2026-01-31T12:00:00Z", "income": None, "job": "partime"},
    {"customer": "3", "as_of": "2026-02-01", "income": 80.0, "job": "fixed"},
]


@pytest.fixture(params=["sqlite", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A store that is empty."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/features.sqlite"
        return
    with redis_server() as server:
        yield server.url


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(cli, ["features", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write rows as the kind of file that the path's name says."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    if path.suffix == ".csv":
        with path.open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(names)
            writer.writerows([["" if row.get(name) is None else row[name] for name in names] for row in rows])
    elif path.suffix == ".ndjson":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def store_of(url: str) -> FeatureStore:
    """The store as the service opens it."""
    return SQLiteStore(Path(url.removeprefix("sqlite:///"))) if url.startswith("sqlite") else RedisStore(url, seconds=5)


def whole(url: str) -> Store:
    return SQLiteProfiles(Path(url.removeprefix("sqlite:///"))) if url.startswith("sqlite") else RedisProfiles(url)


def on_file(url: str, *customers: str) -> list[Fields | None]:
    """What the service finds about customers."""

    async def look_up() -> Any:
        store = store_of(url)
        try:
            return await store.look_up(customers)
        finally:
            await store.close()

    found = asyncio.run(look_up())
    assert all(profile is None or isinstance(profile, Profile) for profile in found)
    return [profile and profile.fields for profile in found]


@pytest.mark.parametrize("suffix", [".csv", ".ndjson", ".parquet"])
def test_a_file_of_each_kind_is_what_the_service_finds(url: str, tmp_path: Path, suffix: str) -> None:
    result = run("load", write(tmp_path / f"customers{suffix}", ROWS), "--to", url)
    assert result.stdout == f"3 rows loaded into {url}\n"
    assert on_file(url, "C-1", "nobody", "3", "C-2") == [
        {"income": (129.0, JANUARY.timestamp()), "job": ("fixed", JANUARY.timestamp())},
        None,
        {"income": (80.0, datetime(2026, 2, 1, tzinfo=UTC).timestamp()), "job": ("fixed", 1769904000.0)},
        {"job": ("partime", JANUARY.timestamp())},
    ]
    assert not (tmp_path / "customers.rejects.csv").exists()


def test_a_load_replaces_everything(url: str, tmp_path: Path) -> None:
    run("load", write(tmp_path / "a.csv", ROWS), "--to", url)
    run("load", write(tmp_path / "b.csv", [{"customer": "C-2", "income": 5}]), "--as-of", "2026-03-01", "--to", url)
    first, second = on_file(url, "C-1", "C-2")
    assert first is None
    assert second == {"income": (5.0, datetime(2026, 3, 1, tzinfo=UTC).timestamp())}
    assert [customer for customer, _ in whole(url).scan()] == ["C-2"]
    assert len(list(whole(url).scan())) == 1


def test_an_update_adds_and_what_is_newer_counts(url: str, tmp_path: Path) -> None:
    run("load", write(tmp_path / "a.csv", ROWS), "--to", url)
    changes = [
        {"customer": "C-1", "as_of": "2026-03-01", "income": 140, "expenses": 50},
        {"customer": "C-2", "as_of": "2025-01-01", "income": 7, "job": "fixed"},
        {"customer": "C-4", "as_of": "2026-03-01", "income": 9},
    ]
    run("load", write(tmp_path / "b.csv", changes), "--update", "--to", url)
    march, before = datetime(2026, 3, 1, tzinfo=UTC).timestamp(), datetime(2025, 1, 1, tzinfo=UTC).timestamp()
    assert on_file(url, "C-1", "C-2", "C-4") == [
        {"income": (140.0, march), "expenses": (50, march), "job": ("fixed", JANUARY.timestamp())},
        {"income": (7.0, before), "job": ("partime", JANUARY.timestamp())},
        {"income": (9.0, march)},
    ]
    assert len(list(whole(url).scan())) == 4


def test_an_update_of_an_empty_store_fills_it(url: str, tmp_path: Path) -> None:
    assert run("load", write(tmp_path / "a.csv", ROWS), "--update", "--to", url).exit_code == 0
    assert len(list(whole(url).scan())) == 3


def test_bad_rows_are_named_and_the_others_loaded(url: str, tmp_path: Path) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    rows = [
        *ROWS,
        {"customer": "C-5", "income": -1, "job": "retired"},
        {"customer": "", "income": 1},
        {"customer": "x" * 65, "income": 1},
        {"customer": "C-6", "as_of": tomorrow, "income": 1},
        {"customer": "C-7", "as_of": "soon", "income": 1},
    ]
    result = run("load", write(tmp_path / "a.csv", rows), "--to", url)
    rejects = tmp_path / "a.rejects.csv"
    assert result.stdout == f"3 rows loaded into {url}; 5 rows refused, {rejects} names their faults\n"
    named = [row[:2] for row in csv.reader(rejects.read_text().splitlines())]
    assert named == [
        ["row", "field"],
        ["4", "income"],
        ["4", "job"],
        ["5", "customer"],
        ["6", "customer"],
        ["7", "as_of"],
        ["8", "as_of"],
    ]
    assert "must be exactly one of fixed, partime, freelance, others, unk" in rejects.read_text()
    assert on_file(url, "C-5", "C-6", "C-7") == [None] * 3


def test_strict_changes_nothing_if_a_row_is_bad(url: str, tmp_path: Path) -> None:
    run("load", write(tmp_path / "a.csv", ROWS), "--to", url)
    bad = write(tmp_path / "b.csv", [{"customer": "C-9", "income": 1}, {"customer": "C-8", "income": -1}])
    for more in ([], ["--update"]):
        result = run("load", bad, "--strict", *more, "--to", url)
        assert result.exit_code == 1
        assert "nothing was loaded" in result.stderr
        assert on_file(url, "C-9", "C-1")[0] is None
        assert on_file(url, "C-1") != [None]


def test_a_broken_update_changes_nothing(url: str, tmp_path: Path) -> None:
    run("load", write(tmp_path / "before.csv", ROWS), "--to", url)
    lines = [json.dumps({"customer": "C-1", "income": 1})] + [json.dumps({"customer": f"N-{n}"}) for n in range(20_000)]
    (tmp_path / "a.ndjson").write_text("\n".join([*lines, "{"]))
    assert "line 20002" in run("load", tmp_path / "a.ndjson", "--update", "--to", url).stderr
    (first,) = on_file(url, "C-1")
    assert first is not None
    assert first["income"][0] == 129.0
    assert len(list(whole(url).scan())) == 3


@pytest.mark.parametrize("name", ["a.csv", "a.ndjson", "a.parquet"])
@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ([{"customers": "C-1", "income": 1}], "lacks the column customer"),
        ([{"customer": "C-1", "salary": 1}], "has the column salary, which is not on file"),
        ([{"customer": "C-1", "amount": 1}], "has the column amount, which is not on file"),
    ],
)
def test_a_file_of_other_columns_changes_nothing(
    url: str, tmp_path: Path, name: str, rows: list[dict[str, Any]], fault: str
) -> None:
    run("load", write(tmp_path / "before.csv", ROWS), "--to", url)
    result = run("load", write(tmp_path / name, rows), "--to", url)
    assert result.exit_code == 1
    assert fault in result.stderr
    assert on_file(url, "C-1") != [None]


def test_a_broken_file_changes_nothing_and_leaves_nothing_behind(url: str, tmp_path: Path) -> None:
    run("load", write(tmp_path / "before.csv", ROWS), "--to", url)
    lines = [json.dumps({"customer": f"N-{number}", "income": 1}) for number in range(30_000)]
    (tmp_path / "a.ndjson").write_text("\n".join([*lines, "{"]))
    result = run("load", tmp_path / "a.ndjson", "--to", url)
    assert "line 30001" in result.stderr
    assert on_file(url, "C-1", "N-1")[1] is None
    assert on_file(url, "C-1") != [None]
    assert not list(tmp_path.glob(".*"))
    assert not (tmp_path / "a.rejects.csv").exists()


def test_two_loads_at_a_time_are_refused(url: str, tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", ROWS)
    with whole(url).writing(update=False) as writer:
        result = run("load", file, "--to", url)
        assert "somebody else is loading" in result.stderr
        writer.whole = True
    assert run("load", file, "--to", url).exit_code == 0


def test_a_replaced_store_is_seen_by_who_has_it_open(url: str, tmp_path: Path) -> None:
    async def look_up_twice() -> list[Any]:
        store = store_of(url)
        first = await store.look_up(["C-1", "N-1"])
        await asyncio.to_thread(run, "load", write(tmp_path / "b.csv", [{"customer": "N-1", "income": 1}]), "--to", url)
        second = await store.look_up(["C-1", "N-1"])
        await store.close()
        return [[profile is None for profile in found] for found in (first, second)]

    run("load", write(tmp_path / "a.csv", ROWS), "--to", url)
    assert asyncio.run(look_up_twice()) == [[False, True], [True, False]]


def test_show_tells_what_an_application_would_take(url: str, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    rows = [{"customer": "C-1", "as_of": (now - timedelta(days=500)).isoformat(), "home": "owner", "income": 129.0}]
    run("load", write(tmp_path / "a.csv", rows), "--to", url)
    cells = {
        row.split("│")[1].strip(): row for row in run("show", "C-1", "--to", url).stdout.splitlines() if "│" in row
    }
    assert "owner" in cells["home"]
    assert "stale" in cells["home"]
    assert "129.0" in cells["income"]
    assert "too old" in cells["income"]
    assert "not on file" in cells["job"]
    assert "missing" in cells["debt"]
    assert "not on file" in run("show", "nobody", "--to", url).stderr


def test_check_tells_ages_coverage_and_who_would_be_refused(url: str, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    every: dict[str, Any] = {
        "seniority": 3,
        "home": "owner",
        "age": 26,
        "marital": "single",
        "records": "no",
        "job": "fixed",
    }
    every |= {"job": "fixed", "expenses": 35, "income": 129.0, "assets": 0, "debt": 0}
    rows = [
        {"customer": "good", "as_of": now.isoformat(), **every},
        {"customer": "older", "as_of": (now - timedelta(days=40)).isoformat(), **every},
        {"customer": "poor", "as_of": now.isoformat(), "home": "rent"},
    ]
    run("load", write(tmp_path / "a.csv", rows), "--to", url)
    result = run("check", "--to", url)
    cells = {row.split("│")[1].strip(): row.split("│")[2:] for row in result.stdout.splitlines() if "│" in row}
    assert [cell.strip() for cell in cells["records"]][:6] == ["1", "", "", "1", "1", ""]
    assert [cell.strip() for cell in cells["debt"]][:3] == ["1", "", "2"]
    assert "40.0 days" in cells["home"][6]
    assert "3 customers" in result.stdout
    assert "would be refused for 2 of them" in " ".join(result.stdout.split())


@pytest.mark.parametrize("url_given", [None, "postgres://localhost", "features.sqlite", "sqlite://features.sqlite"])
def test_a_store_of_no_known_kind_is_refused(url_given: str | None) -> None:
    result = run("check", *(["--to", url_given] if url_given else []))
    assert result.exit_code == 1
    assert "sqlite:///" in result.stderr


def test_a_store_that_is_not_there_says_how_to_make_it(tmp_path: Path) -> None:
    assert "features load" in run("check", "--to", f"sqlite:///{tmp_path}/none.sqlite").stderr
    result = run("check", "--to", "redis://127.0.0.1:1/0")
    assert "redis://127.0.0.1:1/0 can't be used" in result.stderr


def test_a_password_is_neither_shown_nor_optional(tmp_path: Path) -> None:
    with redis_server("--requirepass", "secret-1") as server:
        with_password = server.url.replace("//", "//:secret-1@")
        wrong = server.url.replace("//", "//:secret-2@")
        file = write(tmp_path / "a.csv", ROWS)
        loaded = run("load", file, "--to", with_password)
        assert loaded.stdout == f"3 rows loaded into {server.url}\n"
        for url in (server.url, wrong):
            refused = run("load", file, "--to", url)
            assert refused.exit_code == 1
            assert "password" in refused.stderr
            assert "secret" not in refused.stderr


def test_the_help_explains_each_command() -> None:
    for command in ("load", "show", "check"):
        assert "CREDIT_RISK_FEATURES" in run(command, "--help").stdout
    assert (PROJECT / "features.yaml").is_file()
