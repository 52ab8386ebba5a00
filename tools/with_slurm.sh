#!/bin/sh
# Runs a command with a one-node SLURM on this machine, where ../shared/tools/slurm-loopback.sh is beside the
# repository, and stops it afterwards; one that is up already stays up. Without it, tests that need SLURM are skipped.
set -eu
tool=$(cd "$(dirname "$0")/.." && pwd)/../shared/tools/slurm-loopback.sh
if [ -f "$tool" ] && [ -z "${SLURM_CONF:-}" ]; then
    said=$(mktemp)
    if bash "$tool" start >"$said" 2>&1 </dev/null; then
        SLURM_CONF=/tmp/slurm-lo/slurm.conf
        export SLURM_CONF
        if ! grep -q "already up" "$said"; then
            trap 'bash "$tool" stop' EXIT
            trap 'exit 130' INT TERM
        fi
    else
        echo "SLURM does not start here; its tests are skipped. It said:" >&2
        tail -n 5 "$said" >&2
    fi
    rm -f "$said"
fi
"$@"
