"""What workers inherit, between real processes."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os

import pytest

from credit_risk.contract.errors import ModelError
from credit_risk.model.store import StoredModel
from credit_risk.serving.bento.handover import VARIABLE, Handover
from credit_risk.serving.keys import Key
from credit_risk.serving.rulebook import Rulebook
from tests.deciders import CATALOGUE, POLICY
from tests.policies import ALL_RULES

FORK = multiprocessing.get_context("fork")
RULEBOOK = Rulebook(keys={"bank": Key(sha256="a" * 64)}, policy=POLICY, catalogue=CATALOGUE)


def follow(told: multiprocessing.Queue[str]) -> None:
    handover = Handover.inherited()
    assert handover is not None
    place = handover.place
    told.put(handover.read(place).policy.version)
    while handover.place == place:
        pass
    told.put(handover.read(handover.place).policy.version)


@pytest.fixture
def handover(model: StoredModel, monkeypatch: pytest.MonkeyPatch) -> Handover:
    monkeypatch.setenv(VARIABLE, "")
    return Handover.create(RULEBOOK, model)


def test_children_see_a_new_rulebook_at_once(handover: Handover) -> None:
    told: multiprocessing.Queue[str] = FORK.Queue()
    worker = FORK.Process(target=follow, args=(told,))
    worker.start()
    assert told.get(timeout=60) == POLICY.version
    handover.publish(RULEBOOK.model_copy(update={"policy": ALL_RULES}))
    assert told.get(timeout=60) == ALL_RULES.version
    worker.join()


def test_a_rulebook_is_handed_over_whole(handover: Handover) -> None:
    assert handover.read(handover.place) == RULEBOOK


@pytest.mark.usefixtures("handover")
def test_only_children_of_that_parent_inherit() -> None:
    assert Handover.inherited() is None  # this is the parent


def test_another_model_under_the_same_tag_is_refused(
    handover: Handover, model: StoredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getppid", lambda: handover.parent)
    inherited = Handover.inherited()
    assert inherited is not None
    inherited.check_model(model)
    with pytest.raises(ModelError, match="was replaced after the service was started; restart the service"):
        inherited.check_model(dataclasses.replace(model, digest="b" * 64))


def test_the_first_process_of_a_container_has_no_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(os, "getppid", lambda: 0)
    assert Handover.inherited() is None
