#!/usr/bin/env bash
# Sets up an environment, then runs an experiment or the tests:
#
#   ./launch.sh                         the default sweep
#   ./launch.sh sweep [--workdir=DIR] [--config=FILE] [--config.FIELD=VALUE ...]
#                                       see also ./launch.sh sweep --help
#   ./launch.sh report RUN_DIR [--by=COLUMN] [--picture=FILE.png]
#   ./launch.sh evaluate RUN_DIR [--metrics=NAME,...]
#                                       measures a finished run by more metrics
#   ./launch.sh encode|decode|reconstruct|sample|search|export|compress|decompress --help
#                                       uses a trained model of a run
#   ./launch.sh coders                  bits/dim of MNIST, beside gzip, ..., PNG
#   ./launch.sh benchmark [--peers] [--quick] [--sections=trials,pca,...]
#                                       how fast this machine trains
#   ./launch.sh test [pytest arguments] the tests; -m slow for the long ones
#
# PYTHON names the interpreter (3.11 or newer); EXTRAS=cuda, tpu, tensorflow or
# peers (or several, with commas) installs what the machine has use for.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv=$root/.venv

find_python() {
  local python
  for python in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
      2>/dev/null; then
      echo "$python"
      return
    fi
  done
  echo "error: no Python 3.11 or newer found; name one: PYTHON=... $0" >&2
  exit 2
}

# install EXTRA...: once for each state of the project files.
install() {
  local extras extra want
  for extra in ${EXTRAS//,/ }; do
    case $extra in
      cuda | tpu | tensorflow | peers) ;;
      *)
        echo "error: unknown extra '$extra'; available: cuda, tpu, tensorflow, peers" >&2
        exit 2
        ;;
    esac
  done
  extras=$(printf '%s\n' ${EXTRAS//,/ } "$@" | sort -u | paste -sd, -)
  want="$extras $(cat "$root/pyproject.toml" "$root/constraints.txt" | cksum)"
  for stamp in "$venv"/installed-*; do
    [[ -f $stamp && $(<"$stamp") == "$want" ]] && return
  done
  if [[ ! -x $venv/bin/pip ]]; then
    local python
    python=$(find_python)
    echo "making an environment in $venv" >&2
    if ! "$python" -m venv "$venv"; then
      rm -rf "$venv"
      echo "error: $python cannot make an environment (see above)" >&2
      exit 2
    fi
  fi
  echo "installing ae_jax[$extras] (once, about a minute)" >&2
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    --constraint "$root/constraints.txt" --editable "$root[$extras]" >&2
  echo "$want" >"$venv/installed-${extras}"
}

EXTRAS=${EXTRAS:-}
export JAX_COMPILATION_CACHE_DIR=${JAX_COMPILATION_CACHE_DIR:-$venv/jax_cache}
export MPLCONFIGDIR=${MPLCONFIGDIR:-$venv/matplotlib}
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0

if [[ ${1:-} =~ ^(help|-h|--help)$ ]]; then
  sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"
  exit
fi
command=sweep
if [[ $# -gt 0 && $1 != -* ]]; then
  command=$1
  shift
fi
case $command in
  sweep)
    install all
    exec "$venv/bin/python" -P "$root/experiments/sweep.py" "$@"
    ;;
  report | evaluate | encode | decode | reconstruct | sample | search | export | compress | decompress)
    install all
    exec "$venv/bin/ae-jax" "$command" "$@"
    ;;
  coders | benchmark)
    install all
    export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
    exec "$venv/bin/python" -P -m "experiments.$command" "$@"
    ;;
  test)
    install test
    cd "$root"
    exec "$venv/bin/python" -m pytest "$@"
    ;;
  *)
    echo "error: unknown command '$command'; available: sweep, report, evaluate, coders," \
      "benchmark, encode, decode, reconstruct, sample, search, export, compress," \
      "decompress, test" >&2
    exit 2
    ;;
esac
