"""`python -m credit_risk worker`: run the jobs that callers have handed in."""

from __future__ import annotations

import os
import signal
import threading
import time

import click

from credit_risk.contract.errors import SettingError
from credit_risk.jobs.deciding import here, on_ray
from credit_risk.jobs.files import JobFiles
from credit_risk.jobs.postman import Postman
from credit_risk.jobs.recording import ChunkLog
from credit_risk.jobs.running import Limits, Runner
from credit_risk.jobs.sources import Sources
from credit_risk.jobs.worker import Parts, work
from credit_risk.serving.bento.logs import log_like_the_service
from credit_risk.serving.http.job_document import message
from credit_risk.serving.job_store import OFF, check_jobs, open_queue, open_store
from credit_risk.serving.keys import secret_of
from credit_risk.serving.sealing import open_seal
from credit_risk.serving.settings import load_keys, load_settings

LOOK_SECONDS = 0.5


@click.command(context_settings={"show_default": True})
@click.option(
    "--processes", default=1, type=click.IntRange(1, 256), help="Processes, each of which runs a job at a time."
)
@click.option(
    "--nice",
    type=click.IntRange(0, 19),
    show_default="CREDIT_RISK_JOBS_NICE, or 19",
    help="How far jobs give way to other processes (see nice(1)).",
)
@click.option("--beside", is_flag=True, hidden=True, help="End when the parent process does.")
def worker(processes: int, nice: int | None, beside: bool) -> None:
    """Run the jobs that callers post to /jobs, until SIGTERM or Ctrl+C.

    The settings are the service's: CREDIT_RISK_JOBS and CREDIT_RISK_JOBS_FOLDER have to name the same. Start as many
    workers as you like, on as many machines as reach both. When a worker is told to end, its job goes on elsewhere.
    """
    settings = load_settings()
    if settings.jobs == OFF:
        raise SettingError("CREDIT_RISK_JOBS is off; name where jobs are kept, as for the service")
    log_like_the_service()
    check_jobs(settings)
    keys, files, queue = load_keys(settings), JobFiles(settings.jobs_folder), open_queue(settings)
    limits = Limits(settings.jobs_lease_seconds, settings.jobs_minutes * 60, settings.jobs_max_mb * 2**20)
    sources = Sources(settings.jobs_sources)
    log = ChunkLog(settings.decision_log, open_seal(settings), encrypts=settings.decision_log_encrypt)
    engine = on_ray(settings.jobs_ray) if settings.jobs_ray else here
    if beside:
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    parts = Parts(
        lambda: open_store(settings),
        lambda store, is_stopping: Runner(store, queue, files, log, limits, sources, is_stopping, engine),
        lambda store: Postman(
            store,
            lambda caller: secret_of(keys, caller, settings.webhook_secret),
            message,
            settings.jobs_callback_networks,
        ),
        queue,
        files,
    )
    work(parts, processes, settings.jobs_nice if nice is None else nice)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
