#!/usr/bin/env bash
# Builds the wheel, installs it with all it is tested with into a fresh virtual environment, and
# runs every check there: the wheel is what users get, the checkout's packages stay out of the way.
set -euo pipefail
cd "$(dirname "$0")/.."

# The report is tested in a real browser.
if [ ! -x /usr/bin/chromium ]; then
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends chromium fonts-noto-core >/dev/null
fi

environment=${GEXCORE_TEST_ENV:-.venv-test}
python3 -m venv --clear "$environment"
bin=$environment/bin
export PIP_DISABLE_PIP_VERSION_CHECK=1
"$bin/pip" install -q -c constraints.txt -r tests/requirements.txt
rm -rf dist
"$bin/pip" wheel -q --no-deps --no-build-isolation -w dist .
wheel=$(ls dist/gexcore-*.whl)
"$bin/pip" install -q -c constraints.txt "$wheel[all]"

# What others compute alike, in an environment of its own: their requirements are not ours.
python3 -m venv --clear "$environment-peers"
"$environment-peers/bin/pip" install -q -c constraints.txt -r tests/peers/requirements.txt "$wheel"
OMP_NUM_THREADS=1 "$environment-peers/bin/pytest" tests/peers

"$bin/ruff" check .
"$bin/ruff" format --check .
"$bin/codespell"
"$bin/mypy"
"$bin/lint-imports"

# One thread per process and one process per core: two thread pools on a small machine slow each
# other tenfold. Each framework has a process of its own: importing two in one is fragile.
export OMP_NUM_THREADS=1 TF_CPP_MIN_LOG_LEVEL=3 TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1
run='log=$(mktemp); "$0"/pytest $* >"$log" 2>&1; code=$?; echo "== pytest $*"; cat "$log"; rm "$log"; exit $code'
xargs -P "$(env -u OMP_NUM_THREADS nproc)" -L 1 sh -c "$run" "$bin" <<'GROUPS'
tests/backends/test_tensorflow*.py
tests/backends/test_jax*.py
tests/backends/test_torch*.py
tests/test_*.py tests/backend tests/evaluation tests/deviations tests/influence tests/testing
tests/docs
tests/ensembles tests/store
tests/estimators tests/retraining tests/scores tests/theory
tests/cli tests/decisions tests/outputs
tests/callbacks/test_keras.py
tests/callbacks/test_huggingface.py tests/callbacks/test_lightning.py tests/callbacks/test_ranks.py
tests/callbacks/test_training.py
tests/report
tests/paper/test_quick.py
tests/paper/test_recipes.py tests/paper/test_readers.py tests/paper/test_page.py tests/paper/test_switches.py
tests/paper/test_recipes_jax.py
tests/backends/test_numpy.py tests/backends/test_sklearn*.py
bench/kernels --benchmark-disable
bench/kernels --benchmark-disable --framework sklearn
bench/kernels --benchmark-disable --framework torch
bench/kernels --benchmark-disable --framework jax --net conv
bench/kernels --benchmark-disable --framework tensorflow --net conv
GROUPS
