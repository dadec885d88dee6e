# For the scripts here that start programs: sourced with `name` set. Everything is kept in the directory $work, the processes in
# `started` are ended with the script, and the ends of the logs in $work are shown if it fails.
work=$(mktemp -d)
started=()

finish() {
    status=$?
    trap - EXIT
    for process in "${started[@]}"; do kill -TERM "$process" 2>/dev/null || true; done
    wait
    if [ "$status" -ne 0 ]; then
        tail -n 20 "$work"/*.log >&2 || true
        echo "$name: FAILED" >&2
    fi
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

fail() { echo "$name: $*" >&2; exit 1; }

eventually() { # COMMAND…: within 60 seconds
    local deadline=$((SECONDS + 60))
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || fail "gave up waiting for: $*"
        sleep 0.1
    done
}
