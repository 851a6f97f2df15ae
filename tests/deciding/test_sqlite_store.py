"""The SQLite file of a feature store, as the service reads it."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from credit_risk.contract.errors import FeaturesError
from credit_risk.deciding.feature_store import Profile, StoreError, pack
from credit_risk.deciding.sqlite_store import SCHEMA, SQLiteStore

INCOME = {"income": (129.0, 1.0)}


def make(path: Path, **packed: bytes) -> None:
    with sqlite3.connect(path) as database:
        database.execute(SCHEMA)
        database.executemany("INSERT INTO profiles VALUES (?, ?)", packed.items())
    database.close()


def test_customers_are_found_in_the_order_in_which_they_are_asked_for(tmp_path: Path) -> None:
    async def look_up() -> list[Profile | None]:
        store = SQLiteStore(tmp_path / "a.sqlite")
        found = await store.look_up(["B", "nobody", "A", "B"])
        await store.close()
        return found

    make(tmp_path / "a.sqlite", A=pack(INCOME), B=pack({}))
    assert asyncio.run(look_up()) == [Profile({}), None, Profile.of(INCOME), Profile({})]


@pytest.mark.parametrize(
    "packed", [b"", b"[", b"{}", b"3", b'[["1", {}]]', b"[[1.0, []]]", b"[[1.0]]", b"[[[], {}]]", b"\xff"]
)
def test_what_is_not_a_profile_is_told_as_one_that_nobody_can_read(tmp_path: Path, packed: bytes) -> None:
    async def look_up() -> list[Profile | None]:
        store = SQLiteStore(tmp_path / "a.sqlite")
        found = await store.look_up(["A"])
        await store.close()
        return found

    make(tmp_path / "a.sqlite", A=packed)
    (found,) = asyncio.run(look_up())
    assert found is not None
    assert (found.is_readable, dict(found.fields)) == ((packed == b"{}"), {})


def test_a_file_that_goes_away_can_not_be_asked_until_it_is_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = SQLiteStore(path)
        path.rename(tmp_path / "away")
        with pytest.raises(StoreError, match="No such file"):
            await store.look_up(["A"])
        (tmp_path / "away").rename(path)
        assert await store.look_up(["A"]) == [Profile.of(INCOME)]
        await store.close()

    path = tmp_path / "a.sqlite"
    make(path, A=pack(INCOME))
    asyncio.run(scenario())


def test_another_database_is_refused_with_the_fix(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "other.sqlite").execute("CREATE TABLE t (a)").connection.close()
    with pytest.raises(FeaturesError, match=r"no such table: profiles; load it with `python -m credit_risk features"):
        SQLiteStore(tmp_path / "other.sqlite")
