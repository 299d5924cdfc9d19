# Sourced by the scripts beside it. Installs what a fresh Debian 12 lacks, then configures and builds.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

packages=(g++ cmake ninja-build libboost-dev libdnnl-dev catch2 nlohmann-json3-dev libcli11-dev valgrind)

install_packages() {
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    for tool in g++ cmake ninja; do
      if ! command -v "$tool" >/dev/null; then
        echo "mpx needs these packages, under whatever names your system has for Debian's: ${packages[*]}" >&2
        exit 1
      fi
    done
    return
  fi
  local missing=() package
  for package in "${packages[@]}"; do
    if ! dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null | grep -q '^install ok installed$'; then
      missing+=("$package")
    fi
  done
  if [ ${#missing[@]} -eq 0 ]; then return; fi

  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo "run this once as root: apt-get install ${missing[*]}" >&2
      exit 1
    fi
    as_root=(sudo)
  fi
  echo "installing ${missing[*]}"
  "${as_root[@]}" apt-get update -q
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
}

# A compile takes up to 2 GiB: as many at once as cores and memory allow.
parallel_jobs() {
  local cores memory
  cores=$(nproc)
  memory=$(awk '/^MemAvailable/ {print int($2 / 2097152)}' /proc/meminfo)
  echo $((memory < 1 ? 1 : memory < cores ? memory : cores))
}

# configure <preset>
configure() {
  local launcher=()
  if command -v ccache >/dev/null; then
    # The settings that let ccache keep precompiled headers, and find them again from another directory.
    export CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
    export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
    launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  fi
  cmake --preset "$1" "${launcher[@]}"
}

# build <preset> [<target>...]
build() {
  local preset=$1
  shift
  cmake --build --preset "$preset" -j "$(parallel_jobs)" ${1:+--target "$@"}
}
