# The server on CPUs. The packaged English model is inside; another one is mounted or fetched when it starts.
#   docker build -t instructor-jax .
#   docker run --rm -p 8080:8080 instructor-jax
#   docker run --rm -p 8080:8080 -v models:/cache instructor-jax hkunlp/instructor-large
FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY instructor_jax instructor_jax
COPY train train
COPY convert convert
RUN python -m venv /opt/instructor-jax \
    && /opt/instructor-jax/bin/pip install --no-cache-dir '.[serve,otel]'

FROM python:3.13-slim
# A numeric user, so that Kubernetes can check runAsNonRoot.
RUN useradd --uid 10001 --create-home --home-dir /home/server server \
    && mkdir /cache \
    && chown server /cache
COPY --from=build /opt/instructor-jax /opt/instructor-jax
ENV PATH=/opt/instructor-jax/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HF_HOME=/cache/huggingface \
    INSTRUCTOR_JAX_CACHE=/cache/programs
USER 10001
VOLUME /cache
EXPOSE 8080
# Compiling a large model may take minutes before the port opens.
HEALTHCHECK --interval=15s --timeout=10s --start-period=300s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/health/ready', timeout=8)"]
ENTRYPOINT ["instructor-jax", "serve", "--host", "0.0.0.0", "--port", "8080"]
