#!/usr/bin/env bash
# Puts as much of Debian for 64-bit Arm into a folder as its Python needs, and a `python` there that runs it in an
# emulator: debian_for_arm.sh build/arm. Nothing is installed on the machine itself, whose own sources of packages are
# asked: it has to be a Debian with qemu-user.
set -euo pipefail
mkdir -p "$1"/apt/{lists,archives}/partial
folder=$(cd "$1" && pwd)
root=$folder/debian

: > "$folder/apt/status" # nothing is there yet
apt() {
  apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o APT::Sandbox::User=root \
    -o Dir::State::lists="$folder/apt/lists" -o Dir::State::status="$folder/apt/status" \
    -o Dir::Cache="$folder/apt" -o Dir::Cache::archives="$folder/apt/archives" -o Debug::NoLocking=1 "$@"
}
apt update
apt install --yes --no-install-recommends --download-only python3 libpython3-dev libstdc++6
mkdir -p "$root"
for package in "$folder"/apt/archives/*.deb; do
  dpkg-deb --extract "$package" "$root"
done
rm -r "$folder/apt"

# As plain as a processor for 64-bit Arm can be. It is told this file's name as its own, so that a Python which starts
# another starts it here again.
cat > "$folder/python" <<END
#!/bin/sh
export PYTHONHOME='$root/usr' PYTHONPATH='$folder/packages'
exec qemu-aarch64 -cpu cortex-a57 -L '$root' -0 "\$0" '$root/usr/bin/python3' "\$@"
END
chmod +x "$folder/python"
