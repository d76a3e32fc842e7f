#!/bin/sh
# setup.sh PYTHON VENV GROUP: make the virtual environment and install the library with what GROUP (demo, test, dev) needs.
set -eu
python=$1 venv=$2 group=$3

command -v "$python" >/dev/null 2>&1 || {
  echo "There is no '$python' here. Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3" >&2
  exit 1
}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "$("$python" --version) is too old: Python 3.11 or newer is needed. Name one: make PYTHON=/path/to/python3" >&2
  exit 1
}
if [ ! -x "$venv/bin/python" ]; then
  echo "Making $venv ..."
  "$python" -m venv "$venv" || {
    rm -rf "$venv"
    echo "Python's venv or pip is missing. On Debian and Ubuntu: apt install python3-venv python3-pip" >&2
    exit 1
  }
fi
"$venv/bin/python" -c 'import pip; sys = __import__("sys"); sys.exit(int(pip.__version__.split(".")[0]) < 25)' 2>/dev/null || {
  "$venv/bin/python" -m ensurepip -q >/dev/null 2>&1 || true
  "$venv/bin/python" -m pip install -q --disable-pip-version-check 'pip>=25.1' || {
    echo "pip could not be installed into $venv. On Debian and Ubuntu: apt install python3-venv python3-pip" >&2
    exit 1
  }
}
echo "Installing a3s-code for '$group' ..."
case $group in
  demo) "$venv/bin/python" -m pip install -q --disable-pip-version-check -e '.[cli]' ;;
  test) "$venv/bin/python" -m pip install -q --disable-pip-version-check -e '.[cli,search,web]' --group test ;;
  dev) "$venv/bin/python" -m pip install -q --disable-pip-version-check -e '.[cli,search,web]' --group dev ;;
  *) echo "unknown group '$group'" >&2 && exit 2 ;;
esac
touch "$venv/.$group"
