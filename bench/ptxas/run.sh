#!/usr/bin/env bash
# What ptxas makes of each body that a GPU runs, and whether one spills that did not:
#   bash bench/ptxas/run.sh [<nvcc> [<architecture>...]]        architectures: sm_80 sm_90
# A thread's registers decide how many blocks a multiprocessor holds; what it spills goes through memory. The stack holds
# what is spilled, and arrays that are indexed at run time. Shared memory is what a body has beside that of its launch.
# Units   bytes a thread; shared: bytes a block
# Which bodies may spill, and how much, is in spills.txt, with the release of CUDA that said so: under another one nothing
# is compared. A body that is not named there may not spill. Kernels of libraries are left out.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
nvcc=${1:-nvcc}
architectures=("${@:2}")
if [ ${#architectures[@]} -eq 0 ]; then architectures=(sm_80 sm_90); fi
known=bench/ptxas/spills.txt
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
release="CUDA $("$nvcc" --version | sed -n 's/.*release \([0-9.]*\),.*/\1/p')"

# bodies_for <architecture>: a line for each body, separated by tabs.
bodies_for() {
  if ! "$nvcc" -std=c++20 --expt-relaxed-constexpr -arch="$1" -Xptxas -v -Iinclude -cubin include/mpx/cuda.cu \
      -o "$scratch/cubin" >"$scratch/said" 2>&1; then
    cat "$scratch/said" >&2
    return 1
  fi
  # Of each kernel its name, then "stack, stores, loads", then "Used ... registers".
  sed -n -e "s/.*Compiling entry function '\([^']*\)'.*/\1/p" \
      -e 's/^ *\([0-9]*\) bytes stack frame, \([0-9]*\) bytes spill stores, \([0-9]*\) bytes spill loads/= \1 \2 \3/p' \
      -e 's/.*: Used \([0-9]* registers\)/Used \1/p' "$scratch/said" | c++filt |
    awk -v OFS='\t' -v architecture="$1" '
      /^= / && frame == "" {frame = $2 OFS $3 OFS $4}
      /^Used / {
        shared = match($0, /[0-9]+ bytes smem/) ? substr($0, RSTART, RLENGTH) + 0 : 0
        if (body) print architecture, $2, shared, frame, name
      }
      /^[^=U]/ {
        frame = ""
        name = $0
        body = sub(/^void mpx::on_cuda::run_body</, "", name)
        sub(/ ?>\(.*/, "", name)
        gsub(/mpx::(on_cuda::|kernels::)?/, "", name)
      }' | LC_ALL=C sort -t $'\t' -k 7
}

for architecture in "${architectures[@]}"; do bodies_for "$architecture" >>"$scratch/bodies"; done
awk -F '\t' 'BEGIN {printf "%-6s %9s %6s %6s %6s %6s  %s\n", "", "registers", "shared", "stack", "stores", "loads", "body"}
             {printf "%-6s %9d %6d %6d %6d %6d  %s\n", $1, $2, $3, $4, $5, $6, $7}' "$scratch/bodies"
printf '\n%s\n' "$release"
awk -F '\t' -v known="$known" -v release="$release" '
  BEGIN {
    while ((getline line <known) > 0) {
      if (line ~ /^#/) continue
      if (written_with == "") written_with = line
      else {split(line, field, " "); may_spill[field[1]] = field[2]}
    }
  }
  {
    if (!($1 in bodies)) order[++architectures] = $1
    ++bodies[$1]
    if ($2 > most[$1]) {most[$1] = $2; of[$1] = $7}
    if ($5 + $6 > 0) ++spilling[$1]
    template = $7
    sub(/<.*/, "", template)
    if ($5 + $6 > may_spill[template] + 0)
      wrong = wrong $1 ": " $7 " spills " $5 + $6 " bytes; " known " allows " may_spill[template] + 0 "\n"
  }
  END {
    if (NR == 0) {print "no body was found"; exit 1}
    for (i = 1; i <= architectures; ++i) {
      a = order[i]
      printf "%s: %d bodies, at most %d registers (%s), %d spill\n", a, bodies[a], most[a], of[a], spilling[a]
    }
    if (release != written_with) print "skipped: " known " is of " written_with
    else if (wrong != "") {printf "%sIs it meant, and worth it? Then write it there.\n", wrong; exit 1}
  }' "$scratch/bodies"
