# Three images from one file: what serves HTTP, what recommends, what trains.
#
#   docker build --target api      -t segue-api .
#   docker build --target worker   -t segue-worker .
#   docker build --target training -t segue-training .
#
# A tag can be moved to other bytes, a digest cannot. To pin one, ask for it and append it to the tag below:
#   docker buildx imagetools inspect python:3.12.12-slim-bookworm --format '{{.Manifest.Digest}}'
#   FROM python:3.12.12-slim-bookworm@sha256:… AS base
FROM python:3.12.12-slim-bookworm AS base
# Logs leave at once; the code below /app belongs to root, so bytecode could not be written beside it anyway.
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ARTIFACTS_DIR=/artifacts
# The ids are fixed because the owner of a volume's files is stored as a number. Home is /tmp, the one place that
# stays writable when the root file system is read-only. A fresh volume takes its owner from /artifacts here.
RUN groupadd --gid 10001 segue \
    && useradd --uid 10001 --gid 10001 --no-log-init --no-create-home --home-dir /tmp --shell /usr/sbin/nologin segue \
    && install --directory --owner=10001 --group=10001 /artifacts
WORKDIR /app
STOPSIGNAL SIGTERM

# Packages come before code, so that a change of code rebuilds no packages.
FROM base AS api-packages
COPY requirements-api.txt ./
RUN pip install --no-cache-dir --require-hashes -r requirements-api.txt

FROM base AS worker-packages
COPY requirements-worker.txt ./
RUN pip install --no-cache-dir --require-hashes -r requirements-worker.txt

FROM base AS training-packages
COPY requirements.txt ./
RUN pip install --no-cache-dir --require-hashes -r requirements.txt

FROM api-packages AS api
COPY settings.py telemetry.py ./
COPY producer/ producer/
COPY api/ api/
# A number, not a name: Kubernetes' runAsNonRoot cannot look names up.
USER 10001:10001
EXPOSE 8000
# The empty ProxyHandler keeps a proxy that was set for all containers from being asked for 127.0.0.1.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.build_opener(u.ProxyHandler({})).open('http://127.0.0.1:' + os.environ.get('PORT', '8000') + '/livez', timeout=2)"]
CMD ["python", "-m", "api", "serve"]

FROM worker-packages AS worker
COPY settings.py telemetry.py ./
COPY producer/ producer/
COPY artifacts/ artifacts/
COPY worker/ worker/
USER 10001:10001
CMD ["python", "-m", "worker", "recommend"]

FROM training-packages AS training
COPY settings.py telemetry.py ./
COPY artifacts/ artifacts/
COPY training/ training/
USER 10001:10001
# An entry point, so that `docker run segue-training --data FILE` reads like the command itself.
ENTRYPOINT ["python", "-m", "training"]
