#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# render-timer.sh BUILD ROOT TEXT: `hagent render` for the lab's pair with that text added to its
# cluster.conf, below ROOT, in a network namespace of its own that has the interfaces.
set -e
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
mkdir -p "$2/etc/pptp-ha"
{
	cat "$top/tests/lab/cluster.conf"
	printf '%s\n' "$3"
} >"$2/etc/pptp-ha/cluster.conf"
unshare -n bash -c '
	ip link add wan type veth peer name wan1 && ip link add lan type veth peer name lan1 &&
	ip link add sync type veth peer name sync1 && "$1" --node gw1 --root "$2" render' - "$1/hagent/hagent" "$2"
