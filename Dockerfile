# Both binaries in one image. It has no redis-server: REDIS_URL says where Redis is.
# No `RUN --mount`: the classic builder can build this as well.

FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked -p tollgate-worker -p tollgate-producer --bins \
 && strip target/release/tollgate-worker target/release/tollgate-producer

FROM debian:bookworm-slim
# rediss:// trusts the system's authorities unless REDIS_CA_FILE names others.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --no-create-home tollgate
COPY --from=build /src/target/release/tollgate-worker /src/target/release/tollgate-producer /usr/local/bin/
USER tollgate
CMD ["tollgate-worker"]
