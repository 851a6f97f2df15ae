find /app/.venv -type d \( -name tests -o -name test \) -prune -exec rm -rf {} + \
 && find /app/.venv -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.h' \) -delete \
 && find /app/.venv -type f \( -name '*.c' -o -name '*.cpp' -o -name '*.hpp' -o -name '*.a' \) -delete \
 && find /app/.venv -type d -path '*/scipy/io/_fast_matrix_market' -prune -exec rm -rf {} + \
 && find /app/.venv -path '*/pyarrow/*' \( -name 'libarrow_python*.so' -o -name 'libarrow_python*.so.*.*.*' \) -delete \
 && find /app/.venv -path '*/pyarrow/*' \( -name 'libarrow*_flight*' -o -name '_flight*' \) -delete # a protocol between databases

# The lines above end the stage that installs the packages. Only the stage below becomes the image.
FROM python:3.11-slim
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    BENTO_PATH=/home/bentoml/bento \
    BENTOML_HOME=/home/bentoml \
    BENTOML_CONTAINERIZED=true \
    BENTOML_DO_NOT_TRACK=True \
    PYTHONPATH=/home/bentoml/bento/src \
    CREDIT_RISK_JOBS=off \
    CREDIT_RISK_WORKERS=1 \
    CREDIT_RISK_DECISION_LOG=stdout
# BentoML creates these folders in its home if they are missing, which a read-only root file system forbids. A volume that
# is mounted at `jobs` or `decisions` belongs to the user of the folder that is there.
RUN groupadd --gid 1034 bentoml \
 && useradd --uid 1034 --gid bentoml --create-home bentoml \
 && mkdir -p /home/bentoml/bento /home/bentoml/bentos /home/bentoml/models /home/bentoml/envs /home/bentoml/tmp \
      /home/bentoml/jobs /home/bentoml/decisions \
 && chmod 700 /home/bentoml/jobs /home/bentoml/decisions \
 && chown -R bentoml:bentoml /home/bentoml
COPY --from=base-container /app/.venv /app/.venv
# Jobs are off: without a volume they would be lost, and nobody would run them. PYTHONPATH is for `python -m credit_risk`.
# While modules are imported, the garbage collector finds nothing but takes a tenth of the start-up time.
# credit_risk/serving/bento/garbage.py turns it on again.
RUN echo 'import gc; gc.disable()' > "$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/start.pth"
WORKDIR /home/bentoml/bento
# A volume stays writable for the service's user on a read-only root file system.
VOLUME /tmp
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('BENTOML_PORT', '3000') + '/readyz', timeout=4)"]
# Idle connections stay open for longer than the 60 s after which a load balancer closes them, so that the service never
# closes one that the load balancer is about to use. Shutdown finishes within the 30 s that ECS grants.
CMD ["serve", "--timeout-keep-alive", "75", "--timeout-graceful-shutdown", "25"]
