#!/usr/bin/env bash
# Start the scheduler of a cluster, on one machine: infra/dask/scheduler.sh [HOST [PORT]]
# HOST is this machine's address in the private network; without TLS, whoever reaches it may run
# code on every worker (docs/cluster.md).
set -euo pipefail
. "$(dirname "$0")/settings.sh"
exec dask scheduler --protocol "$protocol" --host "${1:-127.0.0.1}" --port "${2:-8786}" \
  --no-dashboard
