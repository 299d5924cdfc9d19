#!/usr/bin/env bash
# Builds everything and runs the tests:
#   bash scripts/test.sh                 default; or a preset: clang, asan, tsan
#   bash scripts/test.sh asan -R adam    further arguments go to ctest
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
preset=${1:-default}
if [ $# -gt 0 ]; then shift; fi
if [ "$preset" = clang ]; then packages+=(clang-19); fi
install_packages
configure "$preset"
build "$preset"
exec ctest --preset "$preset" --output-on-failure -j "$(parallel_jobs)" "$@"
