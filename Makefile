# Short verbs; the logic is in xtask.
XTASK := cargo run --locked --package xtask --
# Measured is what is shipped, so what measures is built the same way.
BENCH := cargo run --release --quiet --locked --package fm-bench --

.PHONY: help build demo test simulate soak powercut fuzz delivery-rate bench bench-compare bench-publish bench-functions instructions instructions-update package debian lint fmt gen clean

help: ## list the targets (default)
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 24

build: ## build the agent, its library and the Python extension
	cargo build --locked

demo: ## raise the whole catalogue to two controllers, kill each once, count what arrived
	@$(XTASK) demo

test: ## run every test there is
	@$(XTASK) test

simulate: ## run SEEDS (default 20) random bad days, from FIRST (default 1)
	FM_SIMULATE_SEEDS=$(or $(SEEDS),20) FM_SIMULATE_FIRST=$(or $(FIRST),1) cargo test --locked -p fm-agent --test simulate -- --nocapture

soak: ## kill the agent KILLS (default 100) times under load, by SEED (default 1); RELEASE=1 optimised
	@FM_SOAK_KILLS=$(or $(KILLS),100) FM_SOAK_SEED=$(or $(SEED),1) $(XTASK) soak $(if $(RELEASE),--release)

powercut: ## cut the power CUTS (default 120) times, by SEED (default 1)
	@FM_POWERCUT_CUTS=$(or $(CUTS),120) FM_POWERCUT_SEED=$(or $(SEED),1) cargo test --locked -p fm-agent --test powercut $(if $(RELEASE),--release) -- --nocapture

delivery-rate: ## measure how fast a backlog is delivered, beside plain HTTP connections
	@$(XTASK) delivery-rate

fuzz: ## run each fuzz target, or TARGET, for SECONDS (default 30)
	@$(XTASK) fuzz --seconds $(or $(SECONDS),30) $(TARGET)

bench: ## measure everything beside the machine's limits, some minutes; QUICK=1 for a glance, ONLY=part for one
	@$(BENCH) run $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY))

bench-compare: ## show what changed since the figures in BASE, in the newest ones or in OTHER
	@$(BENCH) compare $(BASE) $(OTHER)

bench-publish: ## put the newest figures (or those in FIGURES) into docs/performance.md
	@$(BENCH) publish $(FIGURES)

bench-functions: ## measure single functions with criterion
	cargo bench --locked --package fm-bench

instructions: ## count the instructions of a set; fails when they have grown
	@$(BENCH) instructions

instructions-update: ## write the counted instructions down as the new ones
	@$(BENCH) instructions --update

package: ## build the Debian packages into target/package, with what lintian says
	@$(XTASK) package

debian: ## build the packages; install, use, upgrade, remove them in a Debian of their own (root)
	@$(XTASK) debian

lint: ## check formats, lints, types, lengths, generated files and dependencies
	@$(XTASK) lint

fmt: ## format the Rust sources
	cargo fmt --all

gen: ## write the generated files
	@$(XTASK) gen

clean: ## remove everything that was built
	cargo clean
