#!/bin/sh
# Microbenchmarks of parsers, codecs and the hub: Benchmarks/micro.sh [FILTER]
# The target is in the package only while CARILLON_BENCHMARKS is set, so that no other build compiles it.
set -eu
cd "$(dirname "$0")/.."
export CARILLON_BENCHMARKS=1
swift build -c release --product Micro ${CARILLON_RELEASE_FLAGS:--Xswiftc -enforce-exclusivity=unchecked --static-swift-stdlib} >&2
exec .build/release/Micro "$@"
