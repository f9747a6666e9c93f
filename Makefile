# The ways into this repository; each is a script or one command.
.DEFAULT_GOAL := help
.PHONY: help build release extensions demo test bench docs vm vm-test lint install uninstall deb clean

# Where `make install` puts things, below DESTDIR; the unit files name PREFIX.
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc

help: ## this list
	@awk -F ': .*## ' '/^[a-z]+: .*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## a debug build, after installing the packages it needs
	scripts/setup.sh build
	swift build

release: ## an optimised build
	scripts/setup.sh build
	swift build -c release

extensions: build ## the extensions of Extensions/, built into .build/extensions
	"$$(swift build --show-bin-path)/streamrouter" extension build Extensions/*.swift --output-dir .build/extensions

demo: ## three nodes on this machine relay H.264 and Opus from ffmpeg to ffmpeg
	scripts/demo.sh

test: ## packages, style, build, all tests
	scripts/test.sh

bench: ## forty minutes: every figure beside its peers, into .build/bench and docs/RESULTS.md
	scripts/bench.sh

docs: ## makes the SDK's documentation below .build/documentation
	scripts/docs.sh

vm: ## loads the BPF objects into the verifiers of Debian's kernels 6.1 and 6.12, in guests
	scripts/setup.sh vm
	Tests/VM/run.sh objects datapaths

vm-test: ## a quarter of an hour: module and BPF datapath in guests of Debian's kernels 6.1 and 6.12
	scripts/setup.sh vm
	Tests/VM/controls.sh
	Tests/VM/run.sh

lint: ## style of Swift, C and shell
	scripts/lint.sh

install: ## the program, man page, completions, systemd units below PREFIX=/usr/local (DESTDIR=...)
	scripts/install.sh "$(DESTDIR)" "$(PREFIX)" "$(SYSCONFDIR)"

uninstall: ## takes away what install put there, but for what is configured
	scripts/install.sh --remove "$(DESTDIR)" "$(PREFIX)" "$(SYSCONFDIR)"

deb: ## .build/deb/streamrouter_VERSION_ARCH.deb, for machines without Swift
	scripts/setup.sh deb
	scripts/deb.sh

clean: ## remove what a build made
	swift package clean
