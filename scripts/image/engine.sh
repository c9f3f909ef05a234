# shellcheck shell=bash
# A Docker engine and a registry of their own, on loopback, with all they keep in one folder. For scripts, which source it;
# nothing runs by itself. Needs Docker on the PATH (install-docker.sh) and root.

# start_engine DIR: sets DOCKER_HOST and registry, such as 127.0.0.1:5000. Mounts of its own go with it.
start_engine() {
  local port
  engine_dir=$1
  port=$(free_port)
  registry=127.0.0.1:$port
  mkdir -p "$engine_dir/registry"
  printf '%s\n' 'version: 0.1' 'storage: {filesystem: {rootdirectory: '"$engine_dir/registry"'}}' \
    'http: {addr: '"$registry"'}' 'log: {level: error}' >"$engine_dir/registry.yml"
  "${LARDER_TEST_REGISTRY:-docker-registry}" serve "$engine_dir/registry.yml" >"$engine_dir/registry.log" 2>&1 &
  registry_pid=$!
  export DOCKER_HOST=unix://$engine_dir/docker.sock DOCKER_BUILDKIT=1 DOCKER_CONFIG=$engine_dir/config
  unshare --mount dockerd --host "$DOCKER_HOST" --pidfile "$engine_dir/docker.pid" \
    --data-root "$engine_dir/data" --exec-root "$engine_dir/exec" --storage-driver overlay2 \
    --bridge=none --iptables=false --ip6tables=false --ip-forward=false \
    --insecure-registry "$registry" >"$engine_dir/docker.log" 2>&1 &
  docker_pid=$!
  for _ in $(seq 300); do
    ! docker version >/dev/null 2>&1 || return 0
    kill -0 "$docker_pid" 2>/dev/null || break
    sleep 0.1
  done
  tail -n 20 "$engine_dir/docker.log" >&2
  echo 'The Docker engine does not start.' >&2
  return 1
}

# own_engine: starts them in a fresh folder, dir, which goes with them however the script ends.
own_engine() {
  dir=$(mktemp -d)
  trap tidy_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  start_engine "$dir/engine"
}

tidy_up() {
  trap '' INT TERM HUP
  stop_engine
  rm -rf "$dir"
}

# stop_engine: ends both and removes what they kept.
stop_engine() {
  local pid
  for pid in "${docker_pid:-}" "${registry_pid:-}"; do
    [ -n "$pid" ] || continue
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  rm -rf "${engine_dir:?}"
}

# A port that nothing listens on.
free_port() {
  node -p 'const s = require("net").createServer(); s.listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); }); ""' | grep .
}
