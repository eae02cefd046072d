#!/usr/bin/env bash
# Runs a command with the sanitizers' libraries loaded before everything else, as a module built with
# NINELINE_SANITIZE inside a Python that was not needs it: run_sanitized.sh address,undefined python -m pytest ...
set -euo pipefail
sanitizers=$1
shift
declare -A libraries=([address]=libasan.so [undefined]=libubsan.so [thread]=libtsan.so)
preload=()
for sanitizer in ${sanitizers//,/ }; do
  preload+=("$("${CXX:-c++}" -print-file-name="${libraries[$sanitizer]}")")
done
export ASAN_OPTIONS=detect_leaks=0 # Python keeps much until its end
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export TSAN_OPTIONS=halt_on_error=1
# With addresses at random the thread sanitizer may find its own taken.
exec setarch --addr-no-randomize env LD_PRELOAD="${preload[*]}" "$@"
