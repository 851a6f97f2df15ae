find /app/.venv -type d \( -name tests -o -name test \) -prune -exec rm -rf {} + \
 && find /app/.venv -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.h' \) -delete

# What comes before is the last command of the stage that installs; this is the stage that is kept.
FROM python:3.11-slim
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    BENTO_PATH=/home/bentoml/bento \
    BENTOML_HOME=/home/bentoml \
    BENTOML_CONTAINERIZED=true \
    BENTOML_DO_NOT_TRACK=True \
    CREDIT_RISK_WORKERS=1 \
    CREDIT_RISK_DECISION_LOG=stdout
# BentoML looks for these folders in its home and makes them if it can't find them, which a read-only root forbids.
RUN groupadd --gid 1034 bentoml \
 && useradd --uid 1034 --gid bentoml --create-home bentoml \
 && mkdir -p /home/bentoml/bento /home/bentoml/bentos /home/bentoml/models /home/bentoml/envs /home/bentoml/tmp \
 && chown -R bentoml:bentoml /home/bentoml
COPY --from=base-container /app/.venv /app/.venv
# While all is imported the garbage collector finds nothing, and takes a tenth of the start; the service enables it.
RUN echo 'import gc; gc.disable()' > "$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/start.pth"
WORKDIR /home/bentoml/bento
# Declared, it stays writable for the service's user where the root file system is read-only.
VOLUME /tmp
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('BENTOML_PORT', '3000') + '/readyz', timeout=4)"]
# Keep-alive outlives the 60 s after which a load balancer drops an idle connection, so that it is the one to close it.
# The bound on the shutdown lies within the 30 s that ECS grants.
CMD ["serve", "--timeout-keep-alive", "75", "--timeout-graceful-shutdown", "25"]
