# The programs in a small image. It has no redis-server: REDIS_URL says where Redis is.
#
#   BUILD_IMAGE  compiles them: any image with Rust and glibc
#   BASE_IMAGE   what they run on: by default nothing but the libraries that they are linked to and the authorities
#                that rediss:// trusts. Any image with the glibc of BUILD_IMAGE serves, for example
#                debian:bookworm-slim, which also has a shell
#   PROGRAMS     which programs
#   BUILT        a directory of programs that are built already, below this one, instead of compiling them
#
# No `RUN --mount`, and nothing runs in the last stage: the classic builder can build this as well.

ARG BUILD_IMAGE=rust:1-bookworm
ARG BASE_IMAGE=runtime

FROM ${BUILD_IMAGE} AS build
ARG PROGRAMS="tollgate-worker tollgate-producer"
ARG BUILT=
WORKDIR /src
COPY . .
RUN sh scripts/image-root.sh /image "${BUILT}" ${PROGRAMS}

FROM scratch AS runtime
COPY --from=build /image/runtime/ /

FROM ${BASE_IMAGE}
COPY --from=build /image/programs/ /usr/local/bin/
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Tollgate" \
      org.opencontainers.image.description="Redis-backed job workers for coupons and money: each job decided once" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# No name, so that no base needs one. The directory is for a volume, if somebody wants to keep something.
COPY --from=build --chown=10001:10001 /image/data/ /data/
USER 10001:10001
WORKDIR /data
# The pages of a worker, for whoever shares its network; `--listen` and this variable change that.
ENV TOLLGATE_LISTEN=0.0.0.0:9090
EXPOSE 9090
# Whether the process lives. A worker that waits for Redis is healthy: restarting it would not help.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["tollgate-worker", "--health-check"]
CMD ["tollgate-worker"]
