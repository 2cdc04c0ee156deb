#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Installs those packages of deploy/packages.txt that are missing, and nothing else. Services that the
# packages bring along (keepalived, conntrackd, ssh) are neither started nor enabled: the lab runs its
# own copies, and a gateway gets units of ours. Of PACKAGE/FILE only the file is taken, to /usr/local/bin.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export DEBIAN_FRONTEND=noninteractive

mapfile -t wanted < <(sed 's/#.*//; s/[[:space:]]//g; /^$/d' "${1:-$here/packages.txt}")
missing=()
programs=()
for package in "${wanted[@]}"; do
	if [[ $package == */* ]]; then
		command -v "${package##*/}" >/dev/null || programs+=("$package")
		continue
	fi
	state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || state=
	[ "$state" = installed ] || missing+=("$package")
done
[ $((${#missing[@]} + ${#programs[@]})) -gt 0 ] || exit 0
echo "install-packages: ${missing[*]} ${programs[*]}" >&2
if [ "$(id -u)" != 0 ]; then
	echo "install-packages: must be root to install them" >&2
	exit 1
fi

policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	trap 'rm -f $policy' EXIT
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod 755 $policy
fi
# one_file PACKAGE/FILE: neither the package nor what it needs is installed
one_file() (
	folder=$(mktemp -d)
	trap 'rm -rf "$folder"' EXIT
	cd "$folder"
	apt-get -qq -o APT::Sandbox::User=root download "${1%%/*}" >/dev/null
	dpkg-deb -x ./*.deb .
	command install -m 755 "./${1#*/}" /usr/local/bin/
)
install() {
	[ ${#missing[@]} -gt 0 ] || return 0
	apt-get -qq -y --no-install-recommends install "$@" "${missing[@]}" >/dev/null
}
# A machine without package lists, or with lists that are out of date, fails the first time.
if ! install --simulate 2>/dev/null || ! install; then
	apt-get -qq update
	install
fi
for program in "${programs[@]}"; do
	one_file "$program" 2>/dev/null || { apt-get -qq update && one_file "$program"; }
done
# The packages' scripts make the links for the next boot even where no systemd runs yet, as in a chroot.
disable() {
	if [ -d /run/systemd/system ]; then
		systemctl -q disable "$1" || true
	else
		deb-systemd-helper disable "$1.service" >/dev/null 2>&1 || true
		update-rc.d "$1" disable >/dev/null 2>&1 || true
	fi
}
for package in "${missing[@]}"; do
	case $package in
	keepalived | conntrackd) disable "$package" ;;
	openssh-server) disable ssh ;;
	esac
done
