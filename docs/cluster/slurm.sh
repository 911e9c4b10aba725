#!/bin/bash
#SBATCH --job-name=laureate
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --gpus-per-node=1
#SBATCH --time=08:00:00
#SBATCH --requeue
# Run `sbatch docs/cluster/slurm.sh` in a clone of the study that all nodes see. Every node runs the same line:
# `ray symmetric-run` starts a head on the first and workers on the others, and the driver on the head.
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:?run this by sbatch}"
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
srun ray symmetric-run \
  --address "$head:6379" \
  --min-nodes "$SLURM_JOB_NUM_NODES" \
  --num-cpus "$SLURM_CPUS_PER_TASK" \
  --num-gpus "${SLURM_GPUS_ON_NODE:-0}" \
  -- laureate cluster --address "$head:6379"
