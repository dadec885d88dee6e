# A small image without a shell that does not run as root. docs/operations.md says how to run it.
#
#   docker build --tag tollgate .

FROM rust:1-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo build --release --locked --bin tollgate \
    && cp target/release/tollgate /usr/local/bin/ \
    && mkdir /data

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /usr/local/bin/tollgate /usr/local/bin/tollgate
# A named volume that is mounted here begins as this directory, so that it belongs to the user too.
COPY --from=build --chown=65532:65532 /data /var/lib/tollgate
ENV TOLLGATE_DATABASE=sqlite:///var/lib/tollgate/tollgate.db \
    TOLLGATE_LISTEN=0.0.0.0:50051
EXPOSE 50051
ENTRYPOINT ["/usr/local/bin/tollgate"]
CMD ["serve"]
