#!/usr/bin/env bash
# Processor seconds and memory that the compiler takes, one compile at a time, against the limits that mpx sets itself:
#   bash bench/compile_time/run.sh [<compiler>]
# Limits: including the library 3 s; the overview 12 s and 1 GB; 48 and 96 layers within 10 % of 12. Of a plan without a
# trainer: 24 to 192 layers within 15 % of 12; 64 layer types at most half as much again as 8, since each type is looked at
# by itself; GPT-3 on a mesh of 8 x 16 x 8 devices 4 s and 1 GB.
# Each line is the quickest of three compiles, so that what else the machine does counts little.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
compiler=${1:-g++}
tries=${TRIES:-3}
if [ ! -x /usr/bin/time ]; then echo "needs GNU time: apt-get install time" >&2; exit 1; fi
flags=(-std=c++20 -O2 -fopenmp-simd -fno-math-errno -fno-trapping-math -DMPX_OPENMP_SIMD=1 -Iinclude)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

echo '#include <mpx/mpx.hpp>' >"$scratch/include.cpp"
cp examples/overview.cpp "$scratch/overview.cpp"
for layers in 12 48 96; do
  cat >"$scratch/gpt2_$layers.cpp" <<EOF
#include <mpx/mpx.hpp>

using model = mpx::gpt2<mpx::vocabulary<50257>, mpx::context<1024>, mpx::width<768>, mpx::heads<12>,
                        mpx::layers<$layers>>;
using recipe = mpx::recipe<mpx::place_evenly<4>, mpx::one_f_one_b<mpx::microbatches<8>>, mpx::bf16_mixed,
                           mpx::clip_by_global_norm, mpx::warmup_cosine, mpx::adamw,
                           mpx::microbatch_capacity<mpx::sequences<1>, mpx::tokens<1024>>>;

int main() {
  mpx::trainer<model, recipe> trainer{{.seed = 42}};
  trainer.step({});
}
EOF
done

# Plans without a trainer: deep models of few layer types, and models whose layers all differ.
plan_source() {
  cat <<EOF
#include <mpx/mpx.hpp>

using model = $1;
using recipe = mpx::recipe<mpx::place_evenly<4>, mpx::one_f_one_b<mpx::microbatches<8>>, mpx::bf16_mixed,
                           mpx::microbatch_capacity<mpx::sequences<1>, mpx::tokens<1024>>>;
static_assert(mpx::plan_v<model, recipe>.device_count == 4);
EOF
}
for layers in 12 24 48 96 192; do
  plan_source "mpx::gpt2<mpx::vocabulary<50257>, mpx::width<768>, mpx::heads<12>, mpx::layers<$layers>>" \
    >"$scratch/plan_$layers.cpp"
done
for types in 8 16 32 64; do
  linears=
  for ((i = 1; i <= types; ++i)); do linears+="mpx::linear<$((8 * i)), $((8 * i + 8))>, "; done
  loss="mpx::cross_entropy<$((8 * types + 8)), mpx::spread::invariant>"
  plan_source "mpx::sequential<mpx::token_embedding<5, 8, \"inputs\">, ${linears}${loss}>" \
    >"$scratch/types_$types.cpp"
done

cat >"$scratch/mesh.cpp" <<EOF
#include <mpx/model/published.hpp>
#include <mpx/mpx.hpp>

using model = mpx::with_padded_vocabulary<mpx::gpt3_175b, 1024>;
using recipe = mpx::recipe<mpx::mesh<mpx::data<8>, mpx::pipeline<16>, mpx::tensor<8>>, mpx::place_evenly<16>,
                           mpx::one_f_one_b<mpx::microbatches<32>>, mpx::bf16_mixed, mpx::adamw,
                           mpx::microbatch_capacity<mpx::sequences<1>, mpx::tokens<2048>>>;
static_assert(mpx::plan_v<model, recipe>.mesh.devices() == 1024);
EOF

# measure <name>: sets seconds and megabytes of the quickest compile.
measure() {
  local try user system took peak
  seconds=
  for ((try = 0; try < tries; ++try)); do
    /usr/bin/time -f '%U %S %M' -o "$scratch/time" "$compiler" "${flags[@]}" -c "$scratch/$1.cpp" -o "$scratch/unit.o"
    read -r user system peak <"$scratch/time"
    took=$(awk "BEGIN {print $user + $system}")
    if [ -z "$seconds" ] || awk "BEGIN {exit !($took < $seconds)}"; then
      seconds=$took
      megabytes=$((peak / 1024))
    fi
  done
}

# report <what> <limit, in words> <awk condition over s, mb and base>
missed=0
report() {
  local verdict=met
  if ! awk -v s="$seconds" -v mb="$megabytes" -v base="${base:-0}" "BEGIN {exit !($3)}"; then
    verdict=missed
    missed=$((missed + 1))
  fi
  printf '%-28s %8.2f %8d   %-24s %s\n' "$1" "$seconds" "$megabytes" "$2" "$verdict"
}

printf '%s\n%-28s %8s %8s   %-24s\n' "$("$compiler" --version | head -n 1)" compile seconds MB limit
measure include; report 'include <mpx/mpx.hpp>' '3 s' 's <= 3'
measure overview; report 'examples/overview.cpp' '12 s, 1000 MB' 's <= 12 && mb <= 1000'
measure gpt2_12; base=$seconds; report 'gpt2, 12 layers' 'none' '1'
measure gpt2_48; report 'gpt2, 48 layers' '12 layers + 10 %' 's <= 1.1 * base'
measure gpt2_96; report 'gpt2, 96 layers' '12 layers + 10 %' 's <= 1.1 * base'
printf '\n%-28s %8s %8s\n' 'a plan alone' seconds MB
measure plan_12; base=$seconds; report 'gpt2, 12 layers' 'none' '1'
for layers in 24 48 96 192; do
  measure plan_$layers; report "gpt2, $layers layers" '12 layers + 15 %' 's <= 1.15 * base'
done
measure types_8; base=$seconds; report '8 linear layers' 'none' '1'
for types in 16 32 64; do
  measure types_$types; report "$types linear layers" '8 types + 50 %' 's <= 1.5 * base'
done
measure mesh; report 'gpt3_175b on 8 x 16 x 8' '4 s, 1000 MB' 's <= 4 && mb <= 1000'
if [ "$missed" -gt 0 ]; then echo "$missed limits missed"; exit 1; fi
