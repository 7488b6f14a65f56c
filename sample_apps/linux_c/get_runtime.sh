#!/bin/sh
# Take LiteRT's C library from its official wheel into lib/: sh get_runtime.sh [x86_64 | aarch64]
set -eu
cd "$(dirname "$0")"
machine=${1:-$(uname -m)}
case $machine in
  x86_64 | aarch64) ;;
  *)
    echo "LiteRT has no wheel for $machine: build libLiteRt.so from its source, and put it into lib/" >&2
    exit 2
    ;;
esac
wheels=$(mktemp -d)
trap 'rm -rf "$wheels"' EXIT
python3 -m pip download --quiet --no-deps --only-binary=:all: --dest "$wheels" \
  --implementation cp --python-version 3.11 --platform "manylinux_2_27_$machine" \
  "ai-edge-litert==@LITERT@"
python3 - "$wheels" <<'PYTHON'
import glob, pathlib, sys, zipfile

(wheel,) = glob.glob(sys.argv[1] + "/*.whl")
with zipfile.ZipFile(wheel) as files:
    pathlib.Path("lib").mkdir(exist_ok=True)
    pathlib.Path("lib/libLiteRt.so").write_bytes(files.read("ai_edge_litert/libLiteRt.so"))
PYTHON
echo "lib/libLiteRt.so of LiteRT @LITERT@ for $machine"
