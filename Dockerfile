FROM python:3.13-slim AS build
# For a database on PostgreSQL: docker build --build-arg EXTRAS=postgres .
ARG EXTRAS=""
WORKDIR /src
COPY . .
RUN python -m venv /opt/burble && /opt/burble/bin/pip install --no-cache-dir ".${EXTRAS:+[$EXTRAS]}"

FROM python:3.13-slim
RUN useradd --system --uid 10001 --no-create-home burble && install -d -o burble /data
COPY --from=build /opt/burble /opt/burble
# No .env inside: settings come from the container's environment. Ollama is on the machine around it, unless they say.
ENV PATH="/opt/burble/bin:$PATH" DATA_DIR=/data BURBLE_ENV_FILE="" PYTHONUNBUFFERED=1 \
    OLLAMA_HOST=host.docker.internal:11434
USER burble
WORKDIR /data
VOLUME /data
ENTRYPOINT ["burble"]
CMD ["run"]
