#!/usr/bin/env bash
# Everything that a change must pass, step by step. At its end it says which steps failed; its last line counts tests,
# and each failed step that is no test as one.
set -u
cd "$(dirname "$0")/.." || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0 broken=()

# step NAME COMMAND…: runs it, and shows what it said only when it fails.
step() {
  local name=$1 begun=$SECONDS
  shift
  if "$@" >"$work/log" 2>&1; then
    echo "ok      $name ($((SECONDS - begun)) s)"
    return 0
  fi
  tail -n 150 "$work/log"
  echo "FAILED  $name ($((SECONDS - begun)) s)"
  broken+=("$name")
  return 1
}

check() { step "$@" || failed=$((failed + 1)); }

# tests NAME: the vitest project of that name, its tests counted.
tests() {
  local report="$work/$1.json" code=0 good=0 bad=0
  step "$1 tests" npx vitest run --project "$1" --reporter=default --reporter=json --outputFile.json="$report" || code=1
  [ -s "$report" ] && read -r good bad < <(node -p \
    'const r = JSON.parse(fs.readFileSync(process.argv[1])); `${r.numPassedTests} ${r.numFailedTests}`' "$report")
  # a file that cannot be loaded has no tests, and yet it failed
  [ "$code" -ne 0 ] && [ "$bad" -eq 0 ] && bad=1
  echo "        $good passed, $bad failed"
  passed=$((passed + good)) failed=$((failed + bad))
}

if ! { bash scripts/install-tools.sh test && bash scripts/install-servers.sh &&
  bash scripts/chart/tools.sh .cache/chart helm; }; then
  echo 'FAILED  tools'
  echo '0 passed, 1 failed'
  exit 1
fi
check formatting npm run -s format:check
check lint npm run -s lint
check types npm run -s types
check layers npm run -s layers
check 'unused code' npm run -s unused
check build npm run -s build
tests unit
tests integration
export TEST_PROGRAM=dist/main.js # what was built just now
tests e2e

[ ${#broken[@]} -eq 0 ] || printf 'FAILED: %s\n' "${broken[@]}"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
