#!/usr/bin/env bash
# Training throughput: pipeline against the plain loop against python3-torch, interleaved, medians.
# Usage: bench/training.sh [ROUNDS]   (from the source root, after ./tools/build)
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-5}
median() { sort -n | awk '{a[NR]=$1} END {print a[int((NR+1)/2)]}'; }
one() { # threads words...
  local threads=$1; shift
  OMP_NUM_THREADS=$threads OPENBLAS_NUM_THREADS=$threads "$@"
}
compare() { # title dim layers context rows microbatches iterations
  local title=$1; shift
  local dir; dir=$(mktemp -d)
  for ((i = 0; i < rounds; ++i)); do
    one 1 build/bench_training pipeline "$1" "$2" "$3" "$4" "$5" float32 "$6" >>"$dir/pipeline"
    one 2 build/bench_training loop "$1" "$2" "$3" "$4" "$5" float32 "$6" >>"$dir/loop"
    one 1 build/bench_training pipeline "$1" "$2" "$3" "$4" "$5" float32 "$6" 2 >>"$dir/replicas"
    one 2 build/bench_training loop "$1" "$2" "$3" "$4" "$5" bfloat16 "$6" >>"$dir/bf16"
    one 2 /usr/bin/python3 bench/training_reference.py "$1" "$2" "$3" "$4" "$5" float32 "$6" >>"$dir/python"
  done
  local p l r b y
  p=$(median <"$dir/pipeline"); l=$(median <"$dir/loop"); r=$(median <"$dir/replicas")
  b=$(median <"$dir/bf16"); y=$(median <"$dir/python")
  echo "$title: tokens/s: pipeline $p, loop $l, pipeline with two replicas $r, bfloat16 loop $b, python $y"
  awk -v p="$p" -v l="$l" -v r="$r" -v b="$b" -v y="$y" 'BEGIN {
    printf "  pipeline/loop %.2f  replicas/pipeline %.2f  loop/python %.2f  bfloat16/float32 %.2f\n", p/l, r/p, l/y, b/l }'
  rm -r "$dir"
}
compare "quickstart size (dim 192, 8 layers, T 128)" 192 8 128 8 8 4
compare "dim 768, 4 layers, T 512" 768 4 512 1 8 2
