# shellcheck shell=bash
# What scripts that check something share; read by them. Each check is a line, and `summary` is the last one.

passed=0 failed=0

need() { # TOOL...
    local tool
    for tool in "$@"; do
        if ! command -v "$tool" >/dev/null; then
            echo "$tool is missing: run tests/scripts/install-test-tools" >&2
            exit 1
        fi
    done
}

check() { # NAME COMMAND...
    local name=$1 output
    shift
    output=$(mktemp)
    if "$@" >"$output" 2>&1; then
        passed=$((passed + 1))
        echo "ok: $name"
    else
        failed=$((failed + 1))
        echo "FAILED: $name"
        sed 's/^/    /' "$output"
    fi
    rm -f "$output"
}

# In a check: whether two values are equal, told if not.
equal() { [ "$1" = "$2" ] || { echo "is '$1' instead of '$2'"; return 1; }; }

# Until COMMAND succeeds, for at most SECONDS.
wait_for() { # SECONDS COMMAND...
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || { echo "never: $*" >&2; return 1; }
        sleep 0.1
    done
}

free_port() {
    local port
    while port=$((20000 + RANDOM % 10000)) && (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
    echo "$port"
}

summary() { # NAME
    echo "$1: $passed passed, $failed failed"
    [ "$failed" -eq 0 ]
}
