from __future__ import annotations

from pathlib import Path

import pytest

from credit_risk.contract.errors import SettingError
from credit_risk.record.large import RecordFolder
from credit_risk.record.stream import RecordStream
from credit_risk.record.writer import check_place, open_writer


def test_the_place_chooses_the_writer(tmp_path: Path) -> None:
    def opened(place: str) -> object:
        return open_writer(place, fsync="never", rotate_bytes=1, keep_days=None)

    assert opened("off") is None
    assert isinstance(opened("stdout"), RecordStream)
    assert isinstance(opened(str(tmp_path)), RecordFolder)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_takes_no_records_is_named(tmp_path: Path) -> None:
    for place in ("off", "stdout", str(tmp_path / "new")):
        check_place(place)
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError, match=r"decisions can't be recorded in .*file: .* CREDIT_RISK_DECISION_LOG"):
        check_place(str(tmp_path / "file"))
