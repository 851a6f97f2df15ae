"""Traces of requests: which are recorded, and their stages as spans.

BentoML's OpenTelemetry middleware makes a span of each request that reaches it, and its exporter sends them. Its
`tracing` settings say where to, and which share of the requests that come without a trace of their own.
"""

from __future__ import annotations

from contextvars import ContextVar
from time import perf_counter, time_ns
from typing import Any

from bentoml._internal.configuration.containers import BentoMLContainer
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler, SamplingResult

from credit_risk.deciding.laps import Laps

CHOSEN: ContextVar[bool] = ContextVar("chosen", default=False)  # whether a request was chosen for a trace


class _Chosen(Sampler):
    """Samples requests that were chosen before they came here, and others as another sampler does.

    A request that came with a trace of its own is as its caller says.
    """

    def __init__(self, otherwise: Sampler) -> None:
        self._otherwise = otherwise

    def should_sample(self, parent_context: Context | None, *arguments: Any, **named: Any) -> SamplingResult:
        has_trace = trace.get_current_span(parent_context).get_span_context().is_valid
        sampler = ALWAYS_ON if CHOSEN.get() and not has_trace else self._otherwise
        return sampler.should_sample(parent_context, *arguments, **named)

    def get_description(self) -> str:
        return self._otherwise.get_description()


def share_of_traces() -> float:
    """Give the share of requests without a trace of their own that get one.

    Of POST /classify they are chosen ahead of BentoML's middleware, so that the others need not go there. To be called
    before the first request, with which that middleware is made.
    """
    settings = BentoMLContainer.config.tracing
    if not settings.exporter_type.get():
        return 0.0
    provider = BentoMLContainer.tracer_provider.get()
    provider.sampler = _Chosen(provider.sampler)
    return settings.sample_rate.get() or 0.0


def recorded_span() -> Any:
    """Give the span of the request that is worked on, if it is recorded."""
    span = trace.get_current_span()
    return span if span.get_span_context().trace_flags.sampled else None


def trace_id_of(span: Any) -> str:
    """Give the id of the trace that a span belongs to, as logs and tools show it."""
    return trace.format_trace_id(span.get_span_context().trace_id)


def tell_stages(span: Any, laps: Laps) -> None:
    """Make a span of each stage of a request, below its own."""
    tracer = BentoMLContainer.tracer_provider.get().get_tracer("credit_risk")
    above = trace.set_span_in_context(span)
    epoch = time_ns() - int(perf_counter() * 1e9)
    for stage, begun, ended in laps.stages():
        if ended > begun:
            child = tracer.start_span(stage, above, start_time=epoch + int(begun * 1e9))
            child.end(epoch + int(ended * 1e9))
