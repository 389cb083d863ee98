.DEFAULT_GOAL := help
.PHONY: help run images test test-crash test-deploy test-cluster test-cluster-chaos test-monitoring lint check fmt deny api-fuzz tools \
	bench bench-quick scale bench-levels bench-rebuild bench-micro bench-instructions bench-build

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: tools ## build kurz and serve it on http://127.0.0.1:8080, data in ./data
	cargo run --release --locked -p kurz

test: ## run every test and print the total
	.ci/test

test-deploy: ## check what k8s/ and compose.yaml deploy, without either; part of `make test`
	.ci/test -p deploy

test-crash: tools ## kill kurz in every way for some 15 minutes, count what is lost, write docs/reliability.md
	command -v faketime >/dev/null || .ci/apt-install faketime
	.ci/crash

test-cluster: ## try both overlays on the Kubernetes of KUBECONFIG, which is made for that: docs/kubernetes.md
	tests/cluster/run.py

test-cluster-chaos: ## do to kurz under load what Kubernetes does to everybody, write docs/reliability.md
	.ci/install-prometheus
	tests/cluster/chaos.py --write

test-monitoring: ## check alert rules and dashboards, and that every alert fires when it should
	.ci/install-prometheus
	tests/monitoring/check

lint: ## check format, lints and documentation
	.ci/lint

check: ## what CI runs: lint, then test
	.ci/run

fmt: ## format the code
	cargo fmt --all

deny: ## check licences, advisories, sources and duplicate dependencies
	test -x .tools/bin/cargo-deny || cargo install --locked --root .tools cargo-deny@0.20.2
	.tools/bin/cargo-deny --workspace check

api-fuzz: tools ## send generated requests to a running kurz and compare the answers with docs/openapi.json
	cargo build --locked -p kurz
	.ci/api-fuzz

bench: bench-build ## measure everything against nginx in the same run, write docs/performance.md
	python3 tests/bench/run.py

bench-quick: bench-build ## the same, smaller, for a first look; writes no page
	python3 tests/bench/run.py --quick

scale: ## work out from the measured costs what more redirects need, write docs/scale.md
	python3 tests/bench/scale.py

bench-levels: bench-build ## what each durability level costs, against nginx in the same run
	python3 tests/bench/levels.py

bench-rebuild: tools ## count a million clicks again, and compare
	cargo build --release --locked -p kurz
	python3 tests/bench/rebuild.py

bench-micro: ## time the link table, the codec of clicks, the rules and the storing of clicks alone
	cargo bench --locked -p events --bench clicks
	cargo bench --locked -p redirector --bench table
	cargo bench --locked -p analytics --bench rules
	cargo bench --locked -p analytics --bench store

bench-instructions: ## count the instructions of a redirect; 5 % more than before is a failure
	.ci/instructions

bench-build: tools
	cargo build --release --locked -p auth -p shortener -p redirector -p analytics -p bench

images: ## build the container images of all programs (needs Docker)
	docker/build

tools: ## install what a fresh machine lacks, and the pinned nats-server into .tools
	.ci/prepare
