#!/bin/sh
# The gate in a plain shell: what GitLab, Jenkins or a cron job runs. The exit code is the verdict.
set -u
project=${1:-edgekit.toml}
runs=$(dirname "$project")/.edgekit/runs
started=$(mktemp)
edgekit convert --project "$project"
code=$?
# Without a report of its own there is nothing to judge: not that of an earlier run.
report=$(find "$runs" -name report.json -newer "$started" 2> /dev/null)
rm -f "$started"
if [ -z "$report" ]; then
  if [ "$code" = 0 ]; then code=70; fi
  exit "$code"
fi
# Of several models one may have a report, and another an error: its earlier run is not judged.
case "$code" in 2 | 70 | 130) exit "$code" ;; esac
exec edgekit check --project "$project" \
  --summary summary.md --junit junit.xml --code-quality code-quality.json
