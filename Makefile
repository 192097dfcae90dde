# Short verbs; the logic is in xtask.
XTASK := cargo run --locked --package xtask --

.PHONY: help build demo test simulate delivery-rate lint fmt gen clean

help: ## list the targets (default)
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

build: ## build the agent, its library and the Python extension
	cargo build --locked

demo: ## raise the whole catalogue to two controllers, kill each once, count what arrived
	@$(XTASK) demo

test: ## run every test there is
	@$(XTASK) test

simulate: ## run SEEDS (default 20) random bad days, from FIRST (default 1)
	FM_SIMULATE_SEEDS=$(or $(SEEDS),20) FM_SIMULATE_FIRST=$(or $(FIRST),1) cargo test --locked -p fm-agent --test simulate -- --nocapture

delivery-rate: ## measure how fast a backlog is delivered, beside plain HTTP connections
	@$(XTASK) delivery-rate

lint: ## check formats, lints, types, lengths, generated files and dependencies
	@$(XTASK) lint

fmt: ## format the Rust sources
	cargo fmt --all

gen: ## write the generated files
	@$(XTASK) gen

clean: ## remove everything that was built
	cargo clean
