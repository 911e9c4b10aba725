#!/bin/sh
# Run a study on a Ray cluster that is reached by its dashboard address.
# The driver runs on the cluster's head, in a clone that it makes itself; every node has laureate installed.
set -eu
: "${RAY_ADDRESS:?the dashboard, such as http://head:8265}" "${REPOSITORY:?the git address of the study}"
ray job submit --address "$RAY_ADDRESS" -- sh -c "
  set -eu
  test -d study || git clone '$REPOSITORY' study
  cd study
  laureate cluster --address auto
  git add dvc.lock metrics
  git diff --cached --quiet || git commit --quiet --message 'the study, run on the cluster'
  git push origin HEAD
"
