"""A model behind the Open Inference Protocol, which is asked only once it is known to be the model of the store."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from credit_risk.deciding.inference_client import InferenceClient, LostError, NoModelError
from credit_risk.deciding.open_inference import BINARY, FP32, Address, WrongAnswerError
from credit_risk.deciding.probe import probe_applications
from credit_risk.model.features import Matrix
from credit_risk.model.scorer import probability_of
from credit_risk.model.store import StoredModel

TOLERANCE = 1e-6  # in probability; a float32 has seven digits
MOST_MARGIN = 100.0  # the probability would be 1 to the last digit
Numbers = NDArray[np.float64]


class WrongModelError(WrongAnswerError):
    """The server serves another model than that of the store."""


class Scores(NamedTuple):
    """What a model server says about rows."""

    margins: Numbers  # log odds of default
    probabilities: Numbers  # of default


class _Manner(NamedTuple):
    """How a server is asked, and what it answers."""

    tensor: str  # the name of the input
    binary: bool
    gives_margins: bool


class ServedModel:
    """The client of one model. To be used on one event loop only."""

    def __init__(self, address: Address, model: StoredModel, timeout: float) -> None:
        """`timeout` is in seconds, for each exchange with the server."""
        self._address = address
        self._model = model
        self._client = InferenceClient(address, timeout)
        self._manner: _Manner | None = None  # until the server is checked

    async def score(self, matrix: Matrix) -> Scores:
        """Score rows (n, features). Raises ServerError."""
        manner = self._manner or await self.check()
        try:
            return self._scores(manner, await self._infer(manner, matrix))
        except (LostError, WrongAnswerError):
            self.distrust()  # what answers next may be another server
            raise

    def distrust(self) -> None:
        """Check the server again before it is asked again."""
        self._manner = None

    async def check(self) -> _Manner:
        """See whether the server has the model of the store. Raises ServerError."""
        name, _, version = self._model.tag.partition(":")
        address = self._address
        if address.name not in (name, f"{name}-{version}"):
            raise WrongModelError(f"is asked for {address.name}, but the model of the store is {self._model.tag}")
        if address.name == name and address.version not in (None, version):
            raise WrongModelError(f"is asked for version {address.version}, but the store's is {version}")
        try:
            await self._client.see_ready()
        except NoModelError as error:
            raise WrongModelError(str(error)) from None
        extensions = (await self._client.server()).extensions
        found = await self._client.model()
        if found.name != address.name:
            raise WrongModelError(f"calls the model {found.name} instead of {address.name}")
        features = len(self._model.encoder.names)
        if len(found.inputs) != 1 or found.inputs[0].datatype != FP32 or found.inputs[0].shape[-1:] != [features]:
            raise WrongModelError(f"does not say that the model takes one tensor of {features} features in {FP32}")
        manner = _Manner(found.inputs[0].name, BINARY in extensions, gives_margins=False)
        self._manner = manner._replace(gives_margins=self._gives_margins(await self._infer(manner, self._probe)))
        return self._manner

    async def close(self) -> None:
        await self._client.close()

    @cached_property
    def _probe(self) -> Matrix:
        encoder = self._model.encoder
        return encoder.matrix([encoder.encode(application) for application in probe_applications()])

    @cached_property
    def _expected(self) -> Numbers:
        """The probabilities that the model of the store gives the probe."""
        return _of_margins(self._model.scorer.margins(self._probe).astype(np.float64)).probabilities

    def _gives_margins(self, found: Numbers) -> bool:
        expected = self._expected
        with np.errstate(over="ignore"):
            for gives_margins, probabilities in ((False, found), (True, 1 / (1 + np.exp(-found)))):
                if np.abs(probabilities - expected).max() <= TOLERANCE:
                    return gives_margins
        raise WrongModelError(f"scores otherwise than model {self._model.tag} of the store does")

    def _scores(self, manner: _Manner, values: Numbers) -> Scores:
        if manner.gives_margins:
            if np.abs(values).max() > MOST_MARGIN:
                raise WrongAnswerError("answers with log odds that no model gives")
            return _of_margins(values)
        if not ((values > 0) & (values < 1)).all():
            raise WrongAnswerError("answers with probabilities that are not between 0 and 1")
        return Scores(np.log(values) - np.log1p(-values), values)

    async def _infer(self, manner: _Manner, matrix: Matrix) -> Numbers:
        answer = await self._client.infer(manner.tensor, matrix, binary=manner.binary)
        if answer.model != self._address.name or self._version not in (None, answer.version):
            raise WrongModelError(f"answers with another model or version than {self._model.tag}")
        return answer.values

    @property
    def _version(self) -> str | None:
        """The version that the answers must name: the store's, unless the name of the model holds it already."""
        is_in_name = self._address.name.endswith(f"-{self._model.version}")
        return self._address.version if is_in_name else self._model.version


def _of_margins(margins: Numbers) -> Scores:
    return Scores(margins, np.array([probability_of(margin) for margin in margins.tolist()]))
