# shellcheck shell=bash
# What the scripts of this folder have in common; read by them, in the project's folder. A backend that costs little
# (nginx with a file of 1 KiB and one of 1 GiB, and a sink for uploads), the demo's issuer, and davgate between them.

PATH=$PATH:/usr/sbin
# shellcheck source=tests/scripts/checks.sh
source tests/scripts/checks.sh

# shellcheck disable=SC2154  # `folder` is set by the reader
rm -rf "$folder"
mkdir -p "$folder/files" "$folder/tmp"
here=$PWD/$folder
gateway_port=$(free_port) debug_port=$(free_port) issuer_port=$(free_port) store_port=$(free_port)
backend_port=$(free_port) sink_port=$(free_port)
gateway=${gateway:-${CARGO_TARGET_DIR:-target}/release/davgate}
load=${CARGO_TARGET_DIR:-target}/debug/examples/load
[ -n "${settings+set}" ] || settings=(PROXY_OIDC_AUDIENCES=davgate PROXY_TLS=false PROXY_WORKERS=1)
# shellcheck source=deploy/demo/stack.sh
source deploy/demo/stack.sh

# One worker process each. Settings that make nginx no slower than it has to be: no log, pools of upstream connections.
nginx_configuration() { # NAME SERVER-BLOCK...
    local name=$1
    shift
    cat >"$folder/$name.conf" <<CONFIGURATION
worker_processes 1; daemon off; pid $here/$name.pid; error_log $here/$name.log;
events { worker_connections 16384; }
http {
    access_log off; keepalive_requests 1000000000; client_max_body_size 0; sendfile on; tcp_nodelay on;
    client_body_temp_path $here/tmp; proxy_temp_path $here/tmp;
    fastcgi_temp_path $here/tmp; uwsgi_temp_path $here/tmp; scgi_temp_path $here/tmp;
    upstream backend { server 127.0.0.1:$backend_port; keepalive 64; keepalive_requests 1000000000; }
    $*
}
CONFIGURATION
}

# Files from nginx, uploads to a sink behind it, because nginx itself answers before it has read them.
start_backend() {
    head -c 768 /dev/urandom | base64 -w 0 >"$folder/files/kibibyte"
    truncate -s 1G "$folder/files/gibibyte"
    nginx_configuration backend "server {
        listen 127.0.0.1:$backend_port;
        location /files/ { alias $here/files/; }
        location /files/sink/ {
            proxy_pass http://127.0.0.1:$sink_port; proxy_http_version 1.1; proxy_request_buffering off;
            client_body_buffer_size 256k;
        }
    }"
    "$load" sink --address "127.0.0.1:$sink_port" & pids+=($!)
    nginx -c "$here/backend.conf" 2>/dev/null & pids+=($!)
}

# Nanoseconds on a CPU, user and kernel, all threads of a process and its children: exact, where the ticks of
# /proc/PID/stat are samples.
cpu_time() { # PID
    local pid
    for pid in "$1" $(pgrep -P "$1"); do
        cat /proc/"$pid"/task/*/schedstat
    done | awk '{ total += $1 } END { printf "%.0f\n", total }'
}

# Resident KiB of a process and its children.
resident() { # PID
    local pid
    for pid in "$1" $(pgrep -P "$1"); do
        awk '/^VmRSS/ { print $2 }' /proc/"$pid"/status
    done | awk '{ total += $1 } END { print total }'
}
