# SPDX-License-Identifier: Apache-2.0

# Where `make deps`, or a user by hand, puts Go when it is not in PATH already.
export PATH := $(PATH):/usr/local/go/bin
export GOTOOLCHAIN ?= auto
# Older makes give $(shell) the PATH that they were started with.
go = $(shell PATH='$(PATH)' go $(1))

PREFIX  ?= /usr/local
BINDIR   = $(PREFIX)/bin
UNITDIR  = $(PREFIX)/lib/systemd/system

CONTAINERD = github.com/containerd/containerd/v2
MODULE     = github.com/containerd-wasm/containerd-wasm
CRI_TOOLS  = sigs.k8s.io/cri-tools

# netgo and osusergo keep libc's resolver and user database, and the threads and
# libraries that these bring along, out of the daemon.
TAGS       = netgo osusergo urfave_cli_no_docs
SHIM_TAGS  = $(TAGS) no_grpc

VERSION   ?= $(call go,list -m -f '{{.Version}}' $(CONTAINERD))+wasm.$(shell git describe --always --dirty 2>/dev/null || echo unknown)
REVISION  ?= $(shell git rev-parse --verify --quiet HEAD || echo unknown)
LDFLAGS    = -s -w \
	-X $(CONTAINERD)/version.Version=$(VERSION) \
	-X $(CONTAINERD)/version.Revision=$(REVISION) \
	-X $(CONTAINERD)/version.Package=$(MODULE)

CRI_LDFLAGS = -s -w -X $(CRI_TOOLS)/pkg/version.Version=$(call go,-C tools list -m -f '{{.Version}}' $(CRI_TOOLS))

# The version is stamped by LDFLAGS; the go command's own stamp fails in a checkout
# that belongs to another user.
GO_BUILD   = go build -trimpath -buildvcs=false
BINARIES   = bin/containerd-wasm bin/ctr bin/containerd-shim-runc-v2 bin/crictl

# What `make test`, `make bench` and `make fuzz` take; see scripts/test.sh and
# scripts/fuzz.sh.
export TAGS RACE_PKGS SKIP_PKGS TESTFLAGS FUZZTIME FUZZ
# What `make critest` takes; see scripts/critest.sh.
export FOCUS HANDLER
# What `make test-vm` takes; see scripts/test-vm.sh.
export VM_PKGS VM_RUN VM_FLAGS VM_TIMEOUT VM_MEMORY VM_CPUS
# What `make soak` takes; see test/soak/doc.go. RACE= leaves out the race detector.
export SOAK_CLIENTS SOAK_SEED
RACE      ?= 1
BENCH     ?= .
BENCHTIME ?= 1s

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help deps build images test test-vm critest cross soak sanitize check demo bench fuzz install clean FORCE

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## install what the other targets need, with apt
	scripts/deps.sh

build: $(BINARIES) ## build the daemon, ctr, crictl and runc's shim into bin/

bin/containerd-wasm: FORCE
	CGO_ENABLED=1 $(GO_BUILD) -tags '$(TAGS)' -ldflags '$(LDFLAGS)' -o $@ ./cmd/containerd-wasm

bin/ctr: FORCE
	CGO_ENABLED=0 $(GO_BUILD) -tags '$(TAGS)' -ldflags '$(LDFLAGS)' -o $@ $(CONTAINERD)/cmd/ctr

bin/containerd-shim-runc-v2: FORCE
	CGO_ENABLED=0 $(GO_BUILD) -tags '$(SHIM_TAGS)' -ldflags '$(LDFLAGS)' -o $@ $(CONTAINERD)/cmd/containerd-shim-runc-v2

bin/crictl: FORCE
	cd tools && CGO_ENABLED=0 $(GO_BUILD) -ldflags '$(CRI_LDFLAGS)' -o ../$@ $(CRI_TOOLS)/cmd/crictl

# CRI's conformance tests; a test binary upstream too, and not part of `build`.
bin/critest: FORCE
	cd tools && CGO_ENABLED=0 go test -c -ldflags '$(CRI_LDFLAGS)' -o ../$@ $(CRI_TOOLS)/cmd/critest

# As upstream builds it, for comparison.
.build/critest/containerd: FORCE
	CGO_ENABLED=1 $(GO_BUILD) -tags '$(TAGS)' -ldflags '-s -w -X $(CONTAINERD)/version.Version=$(call go,list -m -f '{{.Version}}' $(CONTAINERD))' -o $@ $(CONTAINERD)/cmd/containerd

images: ## build the images of the tests and the demo into .build/images/
	go run ./test/images/cmd/mkimage -o .build/images

test: deps build ## run all tests that need no cluster
	scripts/test.sh

test-vm: deps build ## run the tests for root in a VM: Debian 13's kernel, cgroup v2
	scripts/deps.sh vm
	scripts/test-vm.sh

critest: deps build bin/critest .build/critest/containerd ## run CRI's conformance tests on this and on unmodified containerd
	scripts/deps.sh critest
	scripts/critest.sh

cross: deps ## build the daemon and the runtime's tests for arm64
	scripts/cross.sh

soak: deps build ## do everything to one daemon for SOAK (10m), as root; then look for leaks
	SOAK=$(or $(SOAK),10m) go test $(if $(RACE),-race) -tags '$(TAGS)' -v -count 1 -timeout 0 $(TESTFLAGS) ./test/soak -args -test.root

sanitize: deps ## test what is C with the sanitizers of addresses and of undefined behaviour
	scripts/sanitize.sh

check: deps ## format, tidy and lint; fails if that changes a file
	scripts/check.sh

demo: deps build ## show it at work
	scripts/demo.sh

bench: deps build images ## run the Go benchmarks, as root
	go test -tags '$(TAGS)' -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -p 1 -timeout 30m $(TESTFLAGS) \
		$$(grep -rl --include='*_test.go' '^func Benchmark' . | xargs -r dirname | sort -u) -args -test.root

fuzz: deps ## run each fuzz target for FUZZTIME (30s), as root
	scripts/fuzz.sh

# Asks apt for nothing; docs/operations.md has the rest of an installation.
install: build ## install the binaries and a systemd unit below DESTDIR and PREFIX
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(UNITDIR)
	install -m 0755 $(BINARIES) $(DESTDIR)$(BINDIR)
	sed 's|@BINDIR@|$(BINDIR)|' packaging/containerd-wasm.service >$(DESTDIR)$(UNITDIR)/containerd-wasm.service

clean: ## remove everything that was built
	rm -rf bin .build
