#!/usr/bin/env bash
# Start the workers of one machine: infra/dask/workers.sh SCHEDULER [NUMBER]
# SCHEDULER is tcp://10.0.0.5:8786, or tls://10.0.0.5:8786 with GENRE_DASK_CERTS. Each worker is a
# process of its own, which a nanny starts anew when it dies, and trains one network at a time with
# its share of the cores.
set -euo pipefail
. "$(dirname "$0")/settings.sh"
scheduler=${1:?the address of the scheduler, such as tcp://10.0.0.5:8786}
number=${2:-2}
cores=$(getconf _NPROCESSORS_ONLN)
export TF_NUM_INTRAOP_THREADS=${TF_NUM_INTRAOP_THREADS:-$((cores > number ? cores / number : 1))}
exec dask worker "$scheduler" --nworkers "$number" --nthreads 1 --no-dashboard
