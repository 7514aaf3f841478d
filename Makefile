# CI and a laptop run the same targets. `make` alone lists them.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo demo-payouts cluster race chaos chaos-versions chaos-release explore test bench bench-docs bench-instructions bench-partitions bench-peers cdnow programs build fmt tools clients redis postgres etcd zookeeper engine callgrind promtool compose-promises compose-chaos compose-failover compose-smoke check-fmt check-clippy check-docs check-tests check-compose test-servers test-servers-core check-core

# Test builds have the fail points and whatever else only tests may have; release builds have none of it.
FEATURES := --all-features
# The programs as tests drive them. The example is there for cargo: with it, every crate is built with the features that
# the tests' own dependencies ask for, so `cargo test` compiles none of them anew.
BUILD_FOR_TESTS := cargo build --workspace --bins --example script $(FEATURES)
# What the runs of tollgate-chaos drive, and itself.
PROGRAMS := -p tollgate-worker -p tollgate-producer -p tollgate-chaos --bins
# To be seen soon: without the race lab and the live view, not optimised.
BUILD_DEMO := cargo build --profile demo --no-default-features $(PROGRAMS) $(if $(CLUSTER),--features tollgate-chaos/cluster)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: redis ## build, then a burst of 40,000 jobs on three workers, one of which is killed: coupons, withdrawals, a concert
	$(BUILD_DEMO)
	@target/demo/tollgate-chaos demo $(if $(CLUSTER),--cluster)

demo-payouts: redis ## build, then 2,000 payouts through a bank that misbehaves, while workers are killed
	$(BUILD_DEMO)
	@target/demo/tollgate-chaos payouts

cluster: redis ## build, then a Redis Cluster of three masters and three replicas on this machine, until Ctrl-C; prints its address
	$(BUILD_DEMO) --features tollgate-chaos/cluster
	@target/demo/tollgate-chaos cluster

race: redis postgres ## build, then well-known races with every well-known cure on real stores, in under two minutes
	cargo build --release $(PROGRAMS)
	@# Exit code 4 says that a server which is not installed was left out; that is told, and no failure.
	@target/release/tollgate-chaos race --pause --report target/race $(RACE) || [ $$? -eq 4 ]

chaos: redis ## build for tests, then every fault in a scenario of its own, from fixed seeds, in under five minutes
	$(BUILD_FOR_TESTS)
	@target/debug/tollgate-chaos run --smoke --at-once 3 --may-leave-out --report target/chaos

# The worker that takes turns with the present one.
BEFORE := HEAD~1
chaos-versions: redis ## two versions of the worker exchanged under load: of the commit before (BEFORE=COMMIT) and of this one
	$(BUILD_FOR_TESTS)
	@other=$$(sh scripts/other-worker.sh $(BEFORE)) && TOLLGATE_OTHER_WORKER=$$other \
	  target/debug/tollgate-chaos run --scenario two-versions --report target/chaos

chaos-release: redis ## every fault on release builds; scenarios that need fail points are left out, aloud
	cargo build --release $(PROGRAMS)
	@target/release/tollgate-chaos run --smoke --at-once 2 --may-leave-out --report target/chaos

explore: redis ## build, then every order of the calls of small fleets, and what can happen to each call, whole (EXPLORE="--time 1m" for as far as that goes)
	cargo build --profile explore --no-default-features --features explore -p tollgate-chaos --bin tollgate-chaos
	@target/explore/tollgate-chaos explore $(EXPLORE)

# Where no registry is reached: `make IMAGES=local compose-chaos` makes the base images here, by debootstrap.
IMAGES := registry
WITH_IMAGES := $(if $(filter local,$(IMAGES)),sh scripts/local-images.sh target/release)

compose-promises: ## try what docker-compose.yml promises, in containers: drains, restarts, scaling, data that stays
	cargo build --release $(PROGRAMS)
	@$(WITH_IMAGES) target/release/tollgate-chaos compose promises --build $(COMPOSE)

compose-chaos: ## two minutes of broken containers: six workers, Redis, lock nodes, a bank; then a verdict
	cargo build --release $(PROGRAMS)
	@$(WITH_IMAGES) target/release/tollgate-chaos compose run --build --report target/chaos $(COMPOSE)

compose-failover: ## docker-compose.cluster.yml and docker-compose.sentinel.yml, each with a master killed under load; then an audit
	cargo build --release $(PROGRAMS)
	@$(WITH_IMAGES) sh -c 'sh scripts/compose-failover.sh cluster && sh scripts/compose-failover.sh sentinel'

compose-smoke: ## all three on what tests have built, the chaos for a minute with four workers: what CI plays
	$(BUILD_FOR_TESTS)
	@sh scripts/ci-compose.sh target/debug

test: tools redis postgres promtool clients check-fmt check-clippy check-docs check-compose check-tests chaos ## everything that CI checks outside of containers

test-servers: redis ## the tests and `make chaos` on Redis 8.0 and on Valkey 8.1, unpacked from Debian 13 into target/servers
	$(BUILD_FOR_TESTS)
	@sh scripts/other-servers.sh $(MAKE) --no-print-directory check-tests chaos

test-servers-core: redis ## the core of that, in a few minutes; where they cannot be had it says so, and that is no failure
	$(BUILD_FOR_TESTS)
	@sh scripts/other-servers.sh $(MAKE) --no-print-directory check-core || [ $$? -eq 4 ]

# What rests on the server's own behaviour: scripts, ranges in flight, locks, failovers, slots, rights, files.
CORE := settle consumers conservation park:: repeat:: receipt_rule lock:: sentinel cluster crash zombie managed acl preflight \
  unsafe_redis redis_conf full_disk without_a_url tls
CORE_SCENARIOS := worker-kill redis-kill-rewrite failover promotion aof-tail lost-replies
check-core: ## the core on one server: TOLLGATE_REDIS_SERVER, or that of PATH
	RUST_TEST_THREADS=$(TESTS_AT_ONCE) cargo test --workspace --no-fail-fast $(FEATURES) --test it -- $(CORE)
	@target/debug/tollgate-chaos run $(CORE_SCENARIOS:%=--scenario %) --seed 1 --duration 5s --at-once 3 --report target/chaos

cdnow: redis ## a real shop's log, sent while workers are killed (one of the tests)
	$(BUILD_FOR_TESTS)
	cargo test --workspace $(FEATURES) --test it a_shops_log

bench: redis build ## measure on this machine, about a quarter of an hour; see docs/benchmarks.md
	@target/release/tollgate-bench $(BENCH)

bench-docs: redis build ## the same, its tables into docs/benchmarks.md
	@target/release/tollgate-bench --markdown $(BENCH) > target/figures.md
	@sed -i '/^<!-- figures/q' docs/benchmarks.md && { echo; cat target/figures.md; } >> docs/benchmarks.md

script-%: ## a script as Redis runs it, the begin of each file marked: script-settle, script-take, …
	@cargo run --quiet -p tollgate --example script -- $*

bench-instructions: redis callgrind ## instructions of redis-server a job, against the bare batch and the record
	$(BUILD_FOR_TESTS)
	@TOLLGATE_REDIS_SERVER=$(CURDIR)/scripts/redis-counted.sh target/debug/tollgate-bench $(BENCH) instructions

bench-partitions: redis callgrind ## what partitions cost, on one Redis and on three masters; some twenty minutes
	$(BUILD_FOR_TESTS)
	@TOLLGATE_REDIS_SERVER=$(CURDIR)/scripts/redis-counted.sh target/debug/tollgate-bench $(BENCH) partitions

bench-peers: redis build ## the same decrement by BullMQ and apalis on the same Redis; needs Node.js
	@command -v npm >/dev/null || { echo "no npm in PATH: install Node.js 20 or later" >&2; exit 1; }
	npm install --prefix bench/peers/bullmq --no-package-lock --no-audit --no-fund --silent
	cargo build --release --manifest-path bench/peers/apalis/Cargo.toml --target-dir target/peers
	@target/release/tollgate-bench $(BENCH) peers

programs: ## the programs as tests drive them, in target/debug
	$(BUILD_FOR_TESTS)

build: ## the release binaries, in target/release
	cargo build --release --workspace --bins

fmt: ## format the source
	cargo fmt --all

# ---- what `make test` consists of

redis: ## install redis-server if it is missing, without starting the system's own
postgres: ## the same with PostgreSQL, for the race lab
etcd: ## the same with etcd
zookeeper: ## the same with ZooKeeper
engine: ## the same with a container engine and compose; nothing else installs one
callgrind: ## the same with valgrind, whose callgrind counts instructions
promtool: ## the same with Prometheus, whose promtool checks the rules of docs/prometheus
redis postgres etcd zookeeper engine callgrind promtool:
	@sh scripts/install-server.sh $@

tools: ## install rustfmt and clippy if they are missing
	@command -v cc >/dev/null || { echo "no C compiler (cc) in PATH: install gcc or clang" >&2; exit 1; }
	@cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
	@cargo clippy --version >/dev/null 2>&1 || rustup component add clippy

clients: ## install what the examples in Python and TypeScript need, into target/examples
	@sh scripts/example-clients.sh

check-fmt: ## cargo fmt --check
	cargo fmt --all --check

check-clippy: ## clippy over all targets and features, over what a release is, what the demo is, and the library alone; warnings denied
	cargo clippy --workspace --all-targets $(FEATURES) -- -D warnings
	cargo clippy --workspace --bins -- -D warnings
	cargo clippy --no-default-features $(PROGRAMS) -- -D warnings
	cargo clippy -p tollgate --no-default-features -- -D warnings

check-docs: ## rustdoc, warnings denied
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps $(FEATURES)

# Tests wait for servers, leases and periods more than they compute: more at a time than there are cores.
TESTS_AT_ONCE := $(shell echo $$((3 * $$(getconf _NPROCESSORS_ONLN))))

check-tests: ## build the binaries that tests drive, then every test
	$(BUILD_FOR_TESTS)
	RUST_TEST_THREADS=$(TESTS_AT_ONCE) cargo test --workspace --no-fail-fast $(FEATURES)

check-compose: ## docker-compose*.yml are accepted (skipped aloud where compose is not installed)
	@sh scripts/check-compose.sh
