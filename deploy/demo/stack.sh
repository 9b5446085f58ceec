# shellcheck shell=bash
# Starts and stops the demo; read by scripts that set `folder` and the four ports first. The gateway trusts the demo's own
# issuer, unless `issuer` names another, with `settings` that go with it. `gateway` may name another build of davgate,
# `token_lifetime` other seconds than 300.

# shellcheck disable=SC2154  # set by the reader
bin=${CARGO_TARGET_DIR:-target}/debug
gateway=${gateway:-$bin/davgate}
pids=()
issuer=${issuer:-http://127.0.0.1:$issuer_port}
[ -n "${settings+set}" ] || settings=(PROXY_OIDC_AUDIENCES=davgate)

build() {
    cargo build --quiet --package davgate --package davgate-demo
}

# The parts write to log files, so that the lines to paste stay on the screen.
start() {
    start_issuer
    start_gateway "$store_port"
}

# The issuer and the file store.
start_issuer() {
    mkdir -p "$folder/data"
    "$bin/davgate-demo" serve --issuer-port "$issuer_port" --store-port "$store_port" --data "$folder/files" \
        --token-lifetime "${token_lifetime:-300}" >"$folder/issuer.log" 2>&1 &
    pids+=($!)
}

start_gateway() { # PORT of the backend of /files/
    # An environment of its own: settings of a real gateway in the caller's shell would change the demo.
    env -i PATH="$PATH" HOME="${HOME:-/}" DEMO_STORE_PORT="$1" \
        OC_CONFIG_DIR="$PWD/deploy/demo" \
        OC_BASE_DATA_PATH="$PWD/$folder/data" \
        PROXY_HTTP_ADDR="127.0.0.1:$gateway_port" \
        PROXY_DEBUG_ADDR="127.0.0.1:$debug_port" \
        PROXY_LOG_LEVEL=info \
        PROXY_OIDC_ISSUER="$issuer" \
        PROXY_ACCOUNT_BACKEND_TYPE=embedded \
        PROXY_AUTOPROVISION_ACCOUNTS=true \
        PROXY_ROLE_ASSIGNMENT_DRIVER=oidc \
        PROXY_JWT_SECRET="$(head -c 32 /dev/urandom | base64)" \
        "${settings[@]}" "$gateway" server >"$folder/davgate.log" 2>&1 &
    pids+=($!)
}

# Until the gateway has the issuer's keys and its account file, or a part has ended, or 30 seconds have passed.
wait_until_ready() {
    local pid
    for _ in $(seq 150); do
        for pid in "${pids[@]}"; do
            if ! kill -0 "$pid" 2>/dev/null; then
                echo "A part of the demo ended at once:" >&2
                tail -n 20 "$folder"/*.log >&2
                return 1
            fi
        done
        if PROXY_DEBUG_ADDR="127.0.0.1:$debug_port" "$gateway" health --ready >/dev/null 2>&1; then
            return 0
        fi
        sleep 0.2
    done
    echo "The gateway is not ready after 30 seconds:" >&2
    tail -n 20 "$folder"/*.log >&2
    return 1
}

# Gateway first, so that it drains while its backend still answers.
stop() {
    local index
    for ((index = ${#pids[@]} - 1; index >= 0; index--)); do
        kill "${pids[index]}" 2>/dev/null || true
        wait "${pids[index]}" 2>/dev/null || true
    done
    pids=()
}

# The lines to paste. check.sh runs these very lines.
token_command() { # USER PASSWORD
    echo "$bin/davgate-demo token --issuer $issuer --user $1 --password $2 --cache $folder/$1.json"
}
token_line() { echo "TOKEN=\$($(token_command alan enigma))"; }
browser_line() { echo "TOKEN=\$($bin/davgate-demo token --issuer $issuer)"; }
certificate() { echo "$folder/data/proxy/server.crt"; }
files_url() { echo "https://localhost:$gateway_port/files"; }
put_line() { # FILE
    echo "curl --fail --cacert $(certificate) -H \"Authorization: Bearer \$TOKEN\" -T $1 $(files_url)/"
}
get_line() { # NAME
    echo "curl --fail --cacert $(certificate) -H \"Authorization: Bearer \$TOKEN\" $(files_url)/$1"
}
rclone_line() { # FROM TO; the remote is written :webdav:
    echo "rclone sync $1 $2 --ca-cert $(certificate) --webdav-url $(files_url)" \
        "--webdav-bearer-token-command \"$(token_command alan enigma)\""
}
