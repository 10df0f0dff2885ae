# No logic of its own: the wheel, then `pertoken serve --init`.
FROM python:3.11-slim AS build
WORKDIR /source
COPY . .
RUN python -m pip wheel --no-cache-dir --wheel-dir /wheels -c requirements.lock .

FROM python:3.11-slim
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    python -m pip install --no-cache-dir --no-index --find-links /wheels pertoken \
    && useradd --create-home --uid 10001 pertoken \
    && install -d -o pertoken /data
USER pertoken
WORKDIR /data
VOLUME /data
ENV PERTOKEN_HOST=0.0.0.0
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["python", "-m", "service.cli.healthcheck"]
ENTRYPOINT ["pertoken"]
CMD ["serve", "--init"]
