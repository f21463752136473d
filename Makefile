# Run `make` or `make help` for the list of targets. Variables are set on the command line: make demo ROWS=100000

GO            ?= go
VERSION       ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo 0.0.0-dev)
# The date of the commit, not of the build: the same sources make the same binary.
DATE          ?= $(shell git log -1 --format=%cI 2>/dev/null || echo unknown)
IMAGE         ?= benthos-clickhouse/connect:$(VERSION)
FUZZTIME      ?= 60s
# Arguments for the program that a target runs, like make chaos ARGS="-seed 17".
ARGS          ?=
GOLANGCI_LINT := v2.12.2

# Options of go test for each module. Suites that start servers spend half of their time waiting for these, so three of them
# share two cores; the servers of each have their own ports and directories. The longest begin first.
UNIT_FLAGS        ?= -timeout 5m
INTEGRATION_FLAGS ?= -timeout 8m -count=1 -p 3
LONGEST           := ./integration/sharding ./chaos ./integration/output ./integration/kafka

# A static binary everywhere. The race detector needs cgo, and says so itself.
export CGO_ENABLED ?= 0

LDFLAGS := -s -w -X main.Version=$(VERSION) -X main.DateBuilt=$(DATE)
BUILD   := $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/connect ./cmd/connect
LINTER  := bin/golangci-lint-$(GOLANGCI_LINT)

.DEFAULT_GOAL := help
.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-20s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: build
build: ## the static binary bin/connect
	$(BUILD)

# Compiling wants the processor and installing the network, so both go on at once.
.PHONY: test
test: ## every test, with real Kafka, MariaDB, MySQL and ClickHouse
	@$(MAKE) --no-print-directory -j2 test-unit install-services
	@$(MAKE) --no-print-directory test-integration

.PHONY: test-unit
test-unit: ## tests of the library module; no servers
	$(GO) vet ./...
	$(GO) test $(UNIT_FLAGS) ./...

.PHONY: test-integration
test-integration: ## tests of the module tests/, against real servers that are installed when missing
	cd tests && $(GO) vet ./...
	cd tests && $(GO) test $(INTEGRATION_FLAGS) $(LONGEST) ./...

.PHONY: race
race: ## the unit tests under the race detector
	CGO_ENABLED=1 $(GO) test -race $(UNIT_FLAGS) ./...

.PHONY: lint
lint: $(LINTER) ## golangci-lint on both modules
	$(LINTER) run ./...
	cd tests && ../$(LINTER) run --config ../.golangci.yml ./...

.PHONY: format
format: $(LINTER) ## gofumpt and goimports on both modules
	$(LINTER) fmt ./...
	cd tests && ../$(LINTER) fmt --config ../.golangci.yml ./...

$(LINTER):
	GOBIN=$(CURDIR)/bin/tools $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT)
	mv bin/tools/golangci-lint $@

# On a busy machine Go's fuzzing may end with "context deadline exceeded" when its time is over. A finding is kept in testdata/fuzz, so that
# going through the corpus once more tells the two apart.
.PHONY: fuzz
fuzz: ## every fuzz test for FUZZTIME (60s)
	@grep -roE '^func Fuzz[A-Za-z0-9_]+' --include='*_test.go' . | sed -E 's|/[^/]*:func | |' | sort | \
	while read -r dir name; do \
		echo "$$dir $$name"; \
		$(GO) test -C "$$dir" -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 5x . || \
		$(GO) test -C "$$dir" -run "^$$name\$$" . || exit 1; \
	done

# Where figures of a benchmark are kept: make bench ARGS="-save ../docs/performance"
.PHONY: bench
bench: build ## the connector's CPU per row, memory and latency, next to its stages alone (ARGS=-help)
	cd tests && $(GO) run ./cmd/bench $(ARGS)

BASE ?= HEAD
.PHONY: bench-compare
bench-compare: ## the working tree against the revision BASE (HEAD), run alternately: the ratio and its spread
	cd tests && $(GO) run ./cmd/bench -compare $(BASE) $(ARGS)

.PHONY: profile
profile: build ## CPU and heap profiles of the two main scenarios, and of each stage's micro-benchmark, in bin/profiles
	mkdir -p bin/profiles
	cd tests && $(GO) run ./cmd/bench -stages=false -only "standard,one record a message" -profile ../bin/profiles $(ARGS)
	@for stage in internal/jsonscan:BenchmarkScan clickhouse/column:BenchmarkRow processors/dimensionjoin/lookup:BenchmarkJoin; do \
		name=$$(basename $${stage%%:*}); \
		$(GO) test ./$${stage%%:*} -run '^$$' -bench "^$${stage##*:}\$$" -o bin/profiles/$$name.test \
			-cpuprofile bin/profiles/$$name.cpu.pprof -memprofile bin/profiles/$$name.heap.pprof || exit 1; \
	done

.PHONY: instructions
instructions: ## instructions per row of each stage against the committed figures; more than 5% over fails
	cd tests && $(GO) test ./instructions -run TestStages -count=1 -v

.PHONY: instructions-update
instructions-update: ## renew the committed figures of `make instructions`
	cd tests && $(GO) test ./instructions -run TestStages -count=1 -v -update

.PHONY: chaos
chaos: build ## break a running pipeline at random, and count what is lost and what is double
	cd tests && $(GO) run ./cmd/chaos -binary ../bin/connect $(ARGS)

.PHONY: demo
demo: ## the whole product on one machine, checked row by row (ROWS, SEED, KEEP=1)
	cd tests && $(GO) run ./cmd/demo $(ARGS)

.PHONY: install-services
install-services: ## download and install the servers of the tests
	cd tests && $(GO) run ./cmd/services install --kafka --mysql --mysqld

.PHONY: services
services: ## the servers of the tests, until Ctrl-C
	cd tests && $(GO) run ./cmd/services up --shards 2 --kafka --mysql $(ARGS)

.PHONY: docs
docs: ## write the generated pages of docs/ again
	$(GO) test ./plugin ./clickhouse/column ./clickhouse/sharding -run Reference -count=1 -update

# Where no engine can pull a base image, buildah puts the binary that was built here into the image.
.PHONY: image
image: ## the container image IMAGE, with docker or buildah
	@if docker info >/dev/null 2>&1; then \
		set -x; docker build --build-arg VERSION=$(VERSION) --build-arg DATE=$(DATE) -t $(IMAGE) -f deploy/Dockerfile .; \
	elif command -v buildah >/dev/null; then \
		set -ex; $(BUILD); cp /etc/ssl/certs/ca-certificates.crt bin/; $(GO) run ./deploy/licences bin/licenses; \
		buildah --storage-driver=vfs bud --build-arg SOURCE=prebuilt -t $(IMAGE) -f deploy/Dockerfile .; \
	else \
		echo "make image needs docker (running) or buildah: apt-get install buildah" >&2; exit 1; \
	fi

.PHONY: clean
clean: ## remove what was built
	rm -rf bin
