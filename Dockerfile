# The gateway as a small image: one static binary on a base without a shell. No configuration and no secret is in it.
#
#   docker build -t balance-gateway .
#   docker run --rm balance-gateway            # says what it wants to be given
#
# Signals reach the program directly (it is process 1): TERM drains and exits 0, HUP reads the configuration again.

ARG RUST_VERSION=1.95.0

FROM docker.io/library/rust:${RUST_VERSION}-bookworm AS build
WORKDIR /src

# Dependencies alone, so that this layer lasts until they change: our own code is stubs, and targets that would want files
# of their own are left out of the manifest.
COPY Cargo.toml Cargo.lock ./
COPY scripts/build-dist scripts/build-dist
RUN awk '/^\[/ { keep = !/^\[(workspace|\[(bench|test|example)\])/ } keep' Cargo.toml > Cargo.cut && mv Cargo.cut Cargo.toml \
 && mkdir src && echo 'fn main() {}' > src/main.rs && touch src/lib.rs \
 && LOCKED='' scripts/build-dist /deps

# The program. Cargo compares times, and the stubs are newer than a checkout.
COPY . .
RUN touch src/main.rs src/lib.rs \
 && scripts/build-dist /out \
 && mkdir -p /out/state

FROM gcr.io/distroless/static-debian12:nonroot
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="balance-gateway" \
      org.opencontainers.image.description="One exact, live view of the balances held at many trading venues" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.source="https://github.com/balance-gateway/balance-gateway" \
      org.opencontainers.image.documentation="https://github.com/balance-gateway/balance-gateway/blob/main/docs/operations.md" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /out/balance-gateway /usr/local/bin/balance-gateway
# Empty, and the user's: a volume mounted here takes its owner over.
COPY --from=build --chown=65532:65532 /out/state /var/lib/balance-gateway
USER 65532:65532
# Clients; operators (health, metrics, administration).
EXPOSE 8080 9090
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["/usr/local/bin/balance-gateway", "health"]
ENTRYPOINT ["/usr/local/bin/balance-gateway"]
CMD ["serve"]
