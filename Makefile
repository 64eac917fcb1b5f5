# `make demo` and `make test` are the two commands; `make help` names the rest.
# Everything is built in one configuration, debug, in which our own code is optimised (see Package.swift).

PREFIX ?= /usr/local
DESTDIR ?=
SWIFT_SOURCES = Package.swift Sources Tests

.DEFAULT_GOAL := help
.PHONY: help bootstrap build test prove fuzz sanitize demo demo-vision release bench install format lint clean

help: ## Say what each command does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

bootstrap: ## Install the Debian packages that are missing
	@Scripts/bootstrap

build: bootstrap ## Build mlops into .build/debug/mlops
	swift build --product mlops

test: bootstrap ## Build and run all tests, against a real S3 server too
	@Scripts/run-tests

prove: build ## Kill, cut off and starve every command at every call, and count what held
	@Scripts/prove-durability

fuzz: bootstrap ## Feed each reader of files with what libFuzzer thinks of, ten minutes each (an hour)
	@Scripts/fuzz-readers

sanitize: bootstrap ## Run the tests of Base and Engine under the thread and the address sanitizer
	@Scripts/check-sanitizers thread
	@Scripts/check-sanitizers address

demo: build ## Train, audit, gate and promote a model of census data
	@Scripts/demo

demo-vision: build ## Train, quantize and promote a model of Fashion-MNIST
	@Scripts/demo vision

release: bootstrap ## Build an optimised, stripped binary that needs no Swift: build/mlops
	swift build --configuration release --static-swift-stdlib --product mlops
	@mkdir -p build
	strip -o build/mlops .build/release/mlops
	@ls -l build/mlops

bench: release ## Measure the store and pipelines side by side with their peers (an hour), and write the table
	@Benchmarks/store
	@Benchmarks/pipeline
	@Benchmarks/table

install: release ## Install build/mlops into PREFIX (/usr/local)
	install -D -m 755 build/mlops $(DESTDIR)$(PREFIX)/bin/mlops

format: bootstrap ## Lay out the Swift files
	swift format format --in-place --parallel --recursive --configuration .swift-format $(SWIFT_SOURCES)

lint: bootstrap ## Check the layout of the Swift files and the layers
	swift format lint --strict --parallel --recursive --configuration .swift-format $(SWIFT_SOURCES)
	@Scripts/check-layers
	@Scripts/check-data

clean: ## Remove what was built
	rm -rf .build build
