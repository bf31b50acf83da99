# make run    builds a release and serves everything in one process; prints the address of a page to look at
# make test   builds and runs all tests
#
# Both install the Debian packages that are missing. What else there is: build, install, deb, bench, lint, format,
# docs, protobuf, clean, and
#
# make conformance PYTHON27=…   runs Autobahn's WebSocket suite, which is Python 2.7 code, against a gateway
# make conformance-http         holds the publish API to docs/openapi.json, and HTTP/2 to RFC 9113

SWIFT ?= swift
# Exclusivity is checked in debug builds and tests; in a release the checks cost a quarter of all instructions.
RELEASE := -c release -Xswiftc -enforce-exclusivity=unchecked --static-swift-stdlib
PROGRAM := .build/release/carillon
# Flags for "make run": make run ARGS="--port 9000"
ARGS ?=

BUILD_PACKAGES := zlib1g-dev libhiredis-dev librabbitmq-dev pkg-config
TEST_PACKAGES := python3 cc:gcc python3-venv redis-server rabbitmq-server nginx supervisor chromium curl php-fpm node:nodejs \
    ip:iproute2 pgrep:procps openssl
SOURCES := Package.swift Sources Tests Benchmarks/Micro examples

.PHONY: run build install deb test conformance conformance-http bench lint format docs protobuf clean

run: build
	@exec $(PROGRAM) serve $(ARGS)

build:
	@scripts/need-packages $(BUILD_PACKAGES)
	@echo "Building a release (the first time takes some minutes)"
	@$(SWIFT) build $(RELEASE) --product carillon --quiet

# After "make build": sudo make install. PREFIX is /usr/local; DESTDIR makes a tree and leaves the host alone.
install:
	@scripts/install $(PROGRAM)

# A Debian package in .build/.
deb: build
	@scripts/make-deb $(PROGRAM) .build

test:
	@scripts/need-packages $(BUILD_PACKAGES) $(TEST_PACKAGES)
	@scripts/test

# A quarter of an hour. CASES="7.* 6.4.*" runs a part. What is missing is told before the release is built.
conformance:
	@PYTHON27="$(PYTHON27)" scripts/conformance-venv
	@$(MAKE) --no-print-directory build
	@/usr/bin/python3 Tests/Conformance/conformance.py $(if $(CASES),--cases $(foreach case,$(CASES),'$(case)'))

# Minutes. EXAMPLES=1000 tries more bodies than the 200 of each kind.
conformance-http: build
	@scripts/need-packages python3-venv openssl
	@scripts/conformance-http $(PROGRAM)

# Half an hour. Each goes on when one before it failed, so that a run tells all it can.
bench: build
	@status=0; for each in run.py channels.py "layers.py redis" "layers.py rabbitmq" router.py; do \
	    Benchmarks/$$each || status=1; done; exit $$status

lint:
	@$(SWIFT) format lint --strict --parallel --recursive $(SOURCES)

format:
	@$(SWIFT) format --in-place --parallel --recursive $(SOURCES)

# Swift of the client protocol's schema. Wants protoc (Debian's protobuf-compiler) and the plugin of swift-protobuf
# (swift build --product protoc-gen-swift there) on the path; what they make is committed.
protobuf:
	@protoc --proto_path=Sources/ClientWire --swift_out=Sources/ClientWire --swift_opt=Visibility=Package \
	    --swift_opt=UseAccessLevelOnImports=true client.proto

# The page that a test holds to the declarations.
docs: build
	@$(PROGRAM) settings --markdown > docs/settings.md

clean:
	@rm -rf .build .venv-tests .venv-conformance .venv-conformance-http
