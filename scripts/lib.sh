# Shared by scripts/run and scripts/test: find or make the Python environment they work in. POSIX sh.
#
# The caller sets $root, the checkout. After `prepare_venv run` or `prepare_venv dev` (with the tools of scripts/test),
# $venv is an environment that holds linerate: $LINERATE_VENV, else .venv in the checkout.
#
# Two files in an environment of ours:
#   .made-by-linerate  its first file. Without it the environment is somebody else's, and nothing is changed in it.
#   .linerate-stamp    what was installed. Written last and removed first, so an interrupted install has none.

# Keep in step with requires-python in pyproject.toml.
SUPPORTED_TEXT='3.11, 3.12 or 3.13'
SUPPORTED_CODE='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'

say() {
    printf '%s\n' "scripts/${0##*/}: $1" >&2
}

# fail LINE [LINE ...]: what is wrong, then what to do. Exit status 2, as linerate's for bad input.
fail() {
    say "$1"
    shift
    for line in "$@"; do
        printf '  %s\n' "$line" >&2
    done
    exit 2
}

prepare_venv() {
    wanted=$1
    [ "$(uname -s)" = Linux ] ||
        fail "linerate runs on Linux only, and this is $(uname -s)" "Use a Linux machine, virtual machine or container."
    venv=${LINERATE_VENV:-$root/.venv}
    case $venv in
        /*) ;;
        *) venv=$PWD/$venv ;;
    esac
    venv_shown=${venv#"$PWD"/}
    if [ ! -e "$venv" ] && [ ! -L "$venv" ]; then
        mkdir -p -- "$venv" || fail "cannot make the folder $venv_shown" "Set LINERATE_VENV=/another/dir."
    fi
    # One spelling of the path, because the stamp holds it.
    [ ! -d "$venv" ] || venv=$(CDPATH='' cd -- "$venv" && pwd -P)
    mark=$venv/.made-by-linerate
    stamp=$venv/.linerate-stamp

    # In this order: the mark is the first file, so a folder that is not empty and has no mark was never ours,
    # even if another start makes it at this moment.
    if [ -d "$venv" ] && [ -z "$(ls -A -- "$venv")" ]; then
        echo 'Made by scripts/run or scripts/test of linerate, which may rebuild this folder.' >"$mark" ||
            fail "cannot write into $venv_shown" "Set LINERATE_VENV=/another/dir."
    fi
    if [ ! -e "$mark" ]; then
        check_foreign_venv
        return
    fi

    asked_python=
    if [ -n "${PYTHON:-}" ]; then
        pick_python
        asked_python=$(python_version "$python")
    fi
    # The path is part of it: an editable install points at the checkout, which may have been moved.
    inputs=$(cd -- "$root" && { echo "$root" && cat pyproject.toml constraints.txt; } | sha256sum)
    inputs=${inputs%% *}
    if ! is_current; then
        [ -w "$venv" ] || fail "$venv_shown is out of date and cannot be written to" "Set LINERATE_VENV=/another/dir."
        # A subshell, so that the lock (file descriptor 9) ends with the install and not with the run after it.
        (
            trap 'exit 130' INT # pip answers an interrupt by failing; that is no failure to explain
            lock
            is_current || install # another start may have installed it while this one waited
        ) 9>>"$mark"
    fi
}

# Whether the stamp fits. Sets stamp_*, empty where there is no stamp.
is_current() {
    stamp_inputs='' stamp_extra='' stamp_python='' stamp_venv=''
    if [ -r "$stamp" ]; then
        {
            IFS= read -r stamp_inputs
            IFS= read -r stamp_extra
            IFS= read -r stamp_python
            IFS= read -r stamp_venv
        } <"$stamp" || :
    fi
    has_usable_python &&
        [ "$stamp_inputs" = "$inputs" ] &&
        { [ "$stamp_extra" = dev ] || [ "$stamp_extra" = "$wanted" ]; }
}

# An environment cannot be moved, its base Python may be gone, and $PYTHON may now ask for another version.
has_usable_python() {
    [ "$stamp_venv" = "$venv" ] && [ -x "$venv/bin/python" ] &&
        { [ -z "$asked_python" ] || [ "$stamp_python" = "$asked_python" ]; }
}

lock() {
    command -v flock >/dev/null || return 0
    flock -n 9 && return
    say "waiting for another install into $venv_shown ..."
    flock 9 || : # some network file systems have no locks
}

install() {
    extra=$wanted
    [ "$stamp_extra" != dev ] || extra=dev # keep the tools in step with the rest
    log=$venv/install.log
    is_update=
    if has_usable_python; then
        is_update=yes
        say "installing into $venv_shown ..."
        rm -f -- "$stamp"
    else
        pick_python
        say "installing into $venv_shown (once, a few minutes) ..."
        rm -f -- "$stamp"
        find "$venv/" -mindepth 1 -maxdepth 1 ! -name "${mark##*/}" -exec rm -rf -- {} +
        "$python" -I -m venv "$venv" >"$log" 2>&1 || install_failed "$python -m venv"
    fi
    target=.
    [ "$extra" = run ] || target=".[$extra]"
    # -I and PIP_USER: neither a PYTHONPATH nor a `user = true` in pip's configuration may lead out of the environment.
    # pip inherits the lock: where only this script is killed, pip goes on, and the next start waits for it.
    if (
        cd -- "$root"
        PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1 \
            exec "$venv/bin/python" -I -m pip install -q -e "$target" -c constraints.txt
    ) </dev/null >"$log" 2>&1; then
        write_stamp "$inputs"
    else
        # A failed update (no network, say) leaves a working environment: try again next time, but keep it.
        [ -z "$is_update" ] || write_stamp failed
        install_failed "pip install -e '$target' -c constraints.txt"
    fi
}

write_stamp() {
    printf '%s\n' "$1" "$extra" "$(python_version "$venv/bin/python")" "$venv" >"$stamp.new"
    mv -- "$stamp.new" "$stamp"
}

install_failed() {
    {
        tail -n 20 "$log" | sed 's/^/  | /'
        echo
    } >&2
    fail "$1 failed; the end of $log is above" \
        "It needs a package index (network, proxy, PIP_INDEX_URL) and some gigabytes of disk space;" \
        "without a GPU, PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu asks for far less." \
        "Then start scripts/${0##*/} again. If it fails the same way, remove $venv_shown first."
}

# Sets $python: $PYTHON, else the first that fits. A name on the PATH may be a stub that does not run (pyenv).
pick_python() {
    incomplete=
    if [ -n "${PYTHON:-}" ]; then
        set -- "$PYTHON"
    else
        set -- python3.11 python3.12 python3.13 python3
    fi
    for python in "$@"; do
        "$python" -I -c "$SUPPORTED_CODE" >/dev/null 2>&1 || continue
        "$python" -I -c 'import ensurepip, venv' >/dev/null 2>&1 && return
        incomplete=${incomplete:-$python}
    done
    if [ -n "$incomplete" ]; then
        fail "$incomplete cannot make environments: its venv or ensurepip module is missing" \
            "Debian and Ubuntu: apt install python3-venv (or python3.X-venv for that version)." \
            "Or name another Python $SUPPORTED_TEXT: PYTHON=/path/to/python."
    fi
    if [ -n "${PYTHON:-}" ]; then
        fail "PYTHON=$PYTHON is not a Python $SUPPORTED_TEXT that runs" "Name another, or unset PYTHON to search the PATH."
    fi
    fail "no Python $SUPPORTED_TEXT found; looked for: $*" \
        "Install one of them, or name one that is not on the PATH: PYTHON=/path/to/python3.11."
}

python_version() {
    "$1" -I -c 'import sys; print("%d.%d" % sys.version_info[:2])'
}

# Use somebody else's environment where it has what is needed and imports this checkout; never change it.
check_foreign_venv() {
    set -- torch hydra
    [ "$wanted" = run ] || set -- "$@" pytest ruff mypy
    lacks=$("$venv/bin/python" -I -c '
import sys
from importlib.util import find_spec
from pathlib import Path

root, *names = sys.argv[1:]
lacks = [name for name in names if find_spec(name) is None]
bench = find_spec("bench")
if bench is None or bench.origin is None or Path(bench.origin).resolve().parents[1] != Path(root):
    lacks.insert(0, "the linerate of this checkout")
print(", ".join(lacks))
' "$root" "$@" 2>/dev/null) || lacks='a working Python'
    [ -n "$lacks" ] || [ -x "$venv/bin/linerate" ] || lacks='the command linerate'
    [ -n "$lacks" ] || return 0
    advice='Move it away, or set LINERATE_VENV=/another/dir.'
    [ ! -e "$venv/bin/activate" ] ||
        advice="In the checkout: . '$venv/bin/activate' && pip install -e '.[dev]' -c constraints.txt. Or move it away, or set LINERATE_VENV=/another/dir."
    fail "$venv_shown was not made by this script, is left as it is, and lacks: $lacks" "$advice"
}
