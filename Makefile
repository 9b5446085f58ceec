# The verbs of the project. `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help demo demo-check check test lint bench bench-check compare compare-latency compare-opencloud scale profile image image-check deb docs tools chaos

help: ## List the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## Run davgate with a small issuer and a file store, until Ctrl-C
	@deploy/demo/run.sh

demo-check: ## Run the lines that `make demo` prints, and check what they do
	@deploy/demo/check.sh

tools: ## Install what the tests need beside Rust (Debian 12, as root)
	@tests/scripts/install-test-tools

check: ## Format, clippy, and every test that needs nothing installed: the loop of a change
	@cargo fmt --all --check
	@cargo clippy --quiet --locked --workspace --all-targets -- -D warnings
	@cargo test --quiet --locked

test: ## Run every test; installs what they need first
	@tests/scripts/test

chaos: ## Faults at full size, odd requests before five servers, fuzzing, each with its figure (half an hour)
	@tests/scripts/chaos

lint: ## Formatting, clippy, documentation, licences and bans; warnings are errors
	@tests/scripts/lint

bench: ## Micro-benchmarks of the warm path
	@cargo bench

bench-check: ## Instructions of a warm request and of its parts; 3 % above a recorded number fails
	@benches/instructions.sh

compare: ## The cost of a request beside nginx, HAProxy, Envoy, Traefik and Caddy, in one run
	@benches/compare.sh

compare-latency: ## An HTTP/2 upload over a line of 100 ms, beside the direct rate (root)
	@benches/latency.sh

compare-opencloud: ## A running OpenCloud's own proxy beside davgate; benches/opencloud.py says what it needs
	@benches/opencloud.py

scale: ## Cost against connections, routes, sessions and groups; writes docs/scaling.tsv and .png
	@benches/scale.sh

profile: ## Renew deploy/musl/davgate.profdata, by which the static binary is laid out (six minutes)
	@benches/profile.sh

image: ## Build the container image davgate:latest with buildah
	@deploy/scripts/image

image-check: ## Build the image, start it once, check user, size and health
	@deploy/scripts/image-check

deb: ## Build the Debian package in target/deb
	@deploy/scripts/deb

docs: ## Build the pages as one book in target/docs (mdBook, of `make tools`)
	@deploy/scripts/docs
