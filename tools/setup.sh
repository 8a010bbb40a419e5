# Sourced by ./test, ./demo and ./benchmark: a Python, and a virtual environment that holds exactly what the lock file says.
#
#   root=…                     the checkout
#   . "$root/tools/setup.sh"
#   set_up requirements.lock   leaves $python (the environment's) behind, or says in one line what is missing and exits 1
#
# POSIX sh, because a fresh Debian has nothing else. Everything it says goes to standard error: standard output is the program's.

venv="$root/.venv"

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "$*"
    exit 1
}

is_root() { [ "$(id -u)" = 0 ]; }

# Install Debian packages, or name them. What apt prints is shown only when it fails.
debian_packages() {
    if ! command -v apt-get >/dev/null 2>&1; then
        fail "missing: $* (or what your system calls them); please install them and start again"
    fi
    if ! is_root; then
        fail "missing Debian packages; please run as root: apt-get install $*"
    fi
    say "installing Debian packages: $*"
    _log=$(mktemp)
    if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"; } \
        >"$_log" 2>&1 </dev/null; then
        tail -n 20 "$_log" >&2
        rm -f "$_log"
        fail "apt-get could not install: $*"
    fi
    rm -f "$_log"
}

# A Python is right when its version is and when it can make a virtual environment with pip in it.
version_is_right() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1
}

is_right() { version_is_right "$1" && "$1" -c 'import venv, ensurepip' >/dev/null 2>&1; }

# Names on the PATH first, then the places where pyenv, uv and builds from source put theirs.
pythons() {
    for _name in ${PYTHON:-} python3.11 python3.12 python3.13 python3 \
        /usr/bin/python3 /usr/local/bin/python3.1[123] /opt/python*/bin/python3.1[123] \
        "${HOME:-/root}"/.pyenv/versions/3.1[123].*/bin/python3 \
        "${HOME:-/root}"/.local/share/uv/python/cpython-3.1[123]*/bin/python3; do
        if command -v "$_name" >/dev/null 2>&1; then printf '%s\n' "$_name"; fi
    done
}

find_python() {
    _found=""
    _without_venv=""
    _names=$(pythons)
    _ifs=$IFS
    IFS='
'
    for _name in $_names; do
        if is_right "$_name"; then
            _found=$_name
            break
        fi
        if [ -z "$_without_venv" ] && version_is_right "$_name"; then _without_venv=$_name; fi
    done
    IFS=$_ifs
    [ -n "$_found" ]
}

# Debian keeps venv in a package of its own (python3.11-venv), and a machine may have no Python at all.
need_python() {
    if find_python; then return; fi
    debian_packages python3 python3-venv
    find_python || fail "no Python 3.11, 3.12 or 3.13 with venv was found; name one: PYTHON=/path/to/python3.12 $0"
}

# What the environment was made from. Another lock, checkout or Python makes it stale.
stamp_for() {
    cat "$1" "$root/pyproject.toml" | sha256sum | cut -d ' ' -f 1
    printf '%s\n' "$root" "$(basename "$1")"
}

# The test environment is the other one and more: ./demo after ./test has nothing to do.
is_fresh() {
    [ -x "$venv/bin/python" ] && [ -f "$venv/stamp" ] && is_right "$venv/bin/python" || return 1
    for _lock in "$1" "$root/requirements-test.lock"; do
        if [ "$(cat "$venv/stamp")" = "$(stamp_for "$_lock")" ]; then return 0; fi
    done
    return 1
}

pip_install() {
    "$venv/bin/python" -m pip --disable-pip-version-check --no-input --retries 5 --timeout 60 install -qq \
        --no-warn-script-location "$@"
}

install_into_venv() {
    rm -f "$venv/stamp"
    if [ ! -x "$venv/bin/python" ] || ! is_right "$venv/bin/python" || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
        need_python
        say "making the virtual environment .venv with $("$_found" -V 2>&1)"
        # --clear: a broken one, or one of a Python that is gone, is made anew
        "$_found" -m venv --clear "$venv" || fail "could not make a virtual environment with $_found"
    fi
    say "installing $(grep -c '^[A-Za-z0-9].*==' "$1") locked packages (the first time takes a minute)"
    pip_install --require-hashes --only-binary :all: -r "$1" ||
        fail "could not install the packages of $(basename "$1"); is a package index reachable (pip config list)?"
    # The build backend is in the lock, so nothing else is downloaded to put the checkout itself in.
    pip_install --no-deps --no-build-isolation -e "$root" || fail "could not install this checkout into .venv"
    stamp_for "$1" >"$venv/stamp"
}

set_up() {
    _lock_file="$root/$1"
    if ! is_fresh "$_lock_file"; then
        # Two at once would undo each other's work.
        if command -v flock >/dev/null 2>&1; then
            exec 9<"$root/tools/setup.sh"
            flock 9
        fi
        if ! is_fresh "$_lock_file"; then install_into_venv "$_lock_file"; fi
        exec 9<&-
    fi
    python="$venv/bin/python"
}

# The viewer of the platform's image pages, once per checkout. Nothing fails without it: who has no npm, or no registry, is told so.
set_up_viewer() { "$python" "$root/tools/viewer.py" || true; }
