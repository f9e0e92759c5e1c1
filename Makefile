# vpod: `make help` lists what can be made.

PREFIX  ?= /usr/local
DESTDIR ?=
BUILD   ?= build
BENCH   ?=

# CGO_ENABLED=0 would leave out the constructor that enters the user namespace
# (cmd/vpod/cgo.go); the tags keep gpgme and btrfs headers out.
export CGO_ENABLED = 1
TAGS    = containers_image_openpgp exclude_graphdriver_btrfs
GO      = go
GOFLAGS_BUILD = -trimpath -tags "$(TAGS)"

VERSION = $(shell sed -n 's/^const Release = "\(.*\)"/\1/p' pkg/engine/version.go)
COMMIT  = $(shell git rev-parse --short=12 HEAD 2>/dev/null)
LDFLAGS = -s -w -X vpod/pkg/engine.gitCommit=$(COMMIT)

LIBDIR  = $(DESTDIR)$(PREFIX)/lib/vpod
MANDIR  = $(DESTDIR)$(PREFIX)/share/man/man1
SHARE   = $(DESTDIR)$(PREFIX)/share

# Debian packages, by what needs them.
RUN_PACKAGES   = qemu-system-x86 qemu-system-common erofs-utils e2fsprogs uidmap passt golang-github-containers-common golang-github-containers-image
BUILD_PACKAGES = gcc libc6-dev git ca-certificates
DEMO_PACKAGES  = busybox-static
CHECK_PACKAGES = bats busybox-static buildah podman skopeo docker-registry debootstrap netcat-openbsd procps python3-minimal shellcheck sudo
BENCH_PACKAGES = busybox-static podman netavark iptables slirp4netns docker-registry skopeo debootstrap

.PHONY: help quickstart check build guest test bats lint docs completions install bench clean deps vpod

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

quickstart: deps build ## install what is missing, build, run a demo container in its machine
	@hack/need $(DEMO_PACKAGES)
	@hack/quickstart $(BUILD)

check: deps ## install what the tests need and run all of them
	@hack/need $(CHECK_PACKAGES)
	@hack/check $(BUILD)

build: guest vpod ## build everything: guest kernel, agent, initramfs, vpod

guest: ## build the guest kernel (cached by its inputs), agent and initramfs
	@mkdir -p $(BUILD)
	@hack/guest-kernel $(BUILD)/vmlinux
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w" -o $(BUILD)/agent ./guest/agent
	$(GO) run ./guest/initramfs/mkinitramfs -agent $(BUILD)/agent -o $(BUILD)/initramfs.cpio

vpod:
	@mkdir -p $(BUILD)
	$(GO) build $(GOFLAGS_BUILD) -ldflags "$(LDFLAGS)" -o $(BUILD)/vpod ./cmd/vpod
	@ln -sf vpod $(BUILD)/vpod-oci
	$(GO) build $(GOFLAGS_BUILD) -ldflags "-s -w" -o $(BUILD)/vpod-build ./cmd/vpod-build

test: ## run the Go tests, with the race detector
	$(GO) test -race -tags "$(TAGS)" ./...

bats: build ## run the behaviour tests, with real machines
	@hack/bats $(BUILD)

lint: ## run go vet and golangci-lint
	$(GO) vet -tags "$(TAGS)" ./...
	@hack/lint

docs: ## build the man pages
	$(GO) run -tags "$(TAGS)" ./man/mkman -o $(BUILD)/man

completions: ## write the shell completions again
	$(GO) run -tags "$(TAGS)" ./completions/mkcompletions -o completions

install: build docs ## install below PREFIX (default /usr/local)
	install -D -m 0755 $(BUILD)/vpod $(DESTDIR)$(PREFIX)/bin/vpod
	ln -sf vpod $(DESTDIR)$(PREFIX)/bin/vpod-oci
	install -D -m 0755 $(BUILD)/vpod-build $(LIBDIR)/vpod-build
	install -D -m 0644 $(BUILD)/vmlinux $(LIBDIR)/vmlinux
	install -D -m 0644 $(BUILD)/initramfs.cpio $(LIBDIR)/initramfs.cpio
	install -D -m 0644 completions/bash/vpod $(SHARE)/bash-completion/completions/vpod
	install -D -m 0644 completions/zsh/_vpod $(SHARE)/zsh/site-functions/_vpod
	install -D -m 0644 completions/fish/vpod.fish $(SHARE)/fish/vendor_completions.d/vpod.fish
	install -d $(MANDIR)
	install -m 0644 $(BUILD)/man/*.1 $(MANDIR)

bench: build ## measure vpod beside podman; BENCH="--quick" and others pass options
	@hack/need $(BENCH_PACKAGES)
	@bench/run --build $(BUILD) $(BENCH)

clean: ## remove what was built here (the kernel cache stays)
	rm -rf $(BUILD)

deps:
	@hack/need $(RUN_PACKAGES) $(BUILD_PACKAGES)
	@hack/need-go
