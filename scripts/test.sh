#!/usr/bin/env bash
# Everything that a change must pass, step by step; the last line is the count. On a failure it says which step.
set -u
cd "$(dirname "$0")/.."
for tool in go openssl git; do
  command -v "$tool" >/dev/null || { echo "npm test needs $tool: install it and run again"; echo '0 passed, 1 failed'; exit 1; }
done
log=$(mktemp); trap 'rm -f "$log"' EXIT
passed=0; failed=0
step() {
  local name=$1; shift
  echo "== $name"
  if "$@" >"$log" 2>&1; then passed=$((passed + 1)); tail -n 4 "$log"
  else failed=$((failed + 1)); tail -n 60 "$log"; echo "FAILED: $name"; fi
}
step types npm run -s types
step layers npm run -s layers
step build npm run -s build
for project in unit integration; do
  step "$project" npx vitest run --project "$project" --passWithNoTests
  tests=$(sed 's/\x1b\[[0-9;]*m//g' "$log" | sed -n 's/^ *Tests .* \([0-9]\+\) passed.*/\1/p' | tail -n 1)
  echo "$project: ${tests:-0} tests passed"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
