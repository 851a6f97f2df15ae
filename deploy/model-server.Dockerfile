# MLServer with XGBoost, of the versions that the tests use. It serves what is mounted at /models.
FROM python:3.11-slim

COPY requirements-mlserver.txt /
RUN pip install --no-cache-dir --no-deps --root-user-action ignore -r /requirements-mlserver.txt

# The root file system may be read-only. One thread, because XGBoost's would wait for each other on a busy machine.
ENV OMP_NUM_THREADS=1 MLSERVER_METRICS_DIR=/tmp/metrics MLSERVER_ENVIRONMENTS_DIR=/tmp/environments
RUN useradd --uid 1034 mlserver
USER mlserver
WORKDIR /tmp
CMD ["mlserver", "start", "/models"]
