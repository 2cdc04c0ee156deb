#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The log with a real journald, which runs in a mount namespace of its own: pptpd as a unit would run, and
# detached from everything; its unprivileged engine under its system call filter; entries with fields; and
# hagent log, which reads them.
. "$(dirname "$0")/../lab/lib.sh"
journald=/lib/systemd/systemd-journald
if [ -z "${TEST_LOG_INSIDE:-}" ]; then
	cmake --build "$build" --target hagent pptpd >/dev/null || exit 1
	if ! [ -x $journald ] || ! command -v systemd-cat >/dev/null; then
		skip "the log with journald" "systemd is not installed"
		exit 0
	fi
	TEST_LOG_INSIDE=1 exec unshare -mn bash "$0"
fi

mount -t tmpfs tmpfs /run
mkdir -p /run/systemd /run/log/journal
ip link set lo up
$journald >"$scratch/journald" 2>&1 &
journald_pid=$!
stop_journald() {
	kill -KILL $journald_pid
	wait $journald_pid 2>/dev/null
}
trap 'status=$?; stop_journald; (exit $status); end_of_script' EXIT
check "journald runs" wait_for 10 [ -S /run/systemd/journal/socket ]

dir=$scratch/root
mkdir -p "$dir"/etc/ppp "$dir"/run/pptp-ha "$dir"/var/lib/pptp-ha
chmod 755 "$scratch" "$dir"
printf '%s\n' "option /etc/ppp/options.pptpd" "localip 10.8.0.1" "remoteip 10.8.0.2-9" "listen 127.0.0.1" >"$dir/etc/pptpd.conf"
printf '%s\n' "name pptpd" "require-mschap-v2" "require-mppe-128" >"$dir/etc/ppp/options.pptpd"
printf '"u" * "p" *\n' >"$dir/etc/ppp/chap-secrets"
chmod 600 "$dir/etc/ppp/chap-secrets"

# entries FILTER...: of pptpd, as JSON
entries() {
	journalctl -q --no-pager -o json SYSLOG_IDENTIFIER=pptpd "$@"
}
started() {
	entries PPTP_HA_NODE="$1" "PPTP_HA_EVENT=engine started" | grep -q .
}
# run_pptpd NODE COMMAND...: until its engine has logged that it started
run_pptpd() {
	local node=$1 pid
	shift
	"$@" "$build/pptpd/pptpd" --node "$node" --root "$dir" --role active &
	pid=$!
	check "$node: pptpd's engine writes to the journal" wait_for 10 started "$node"
	kill $pid
	wait $pid
}
detached() {
	exec "$@" 2>/dev/null
}
# What the service manager does for a unit.
as_unit() {
	# shellcheck disable=SC2016
	exec systemd-cat -t nobody sh -c 'JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec "$@"' sh "$@"
}
run_pptpd unit as_unit
run_pptpd alone detached
for node in unit alone; do
	entry=$(entries PPTP_HA_NODE=$node "PPTP_HA_EVENT=engine started" | head -1)
	check_match "$node: message" "$(field "$entry" .MESSAGE)" "^engine started node=$node workers=[0-9]+ pool=8"
	check_eq "$node: priority" "$(field "$entry" .PRIORITY)" 6
	check_eq "$node: a field" "$(field "$entry" .PPTP_HA_POOL)" 8
	check_eq "$node: from the journal's own socket" "$(field "$entry" ._TRANSPORT)" journal
	check "$node: by the unprivileged engine" [ "$(field "$entry" ._UID)" != 0 ]
	check_eq "$node: every entry is ours" "$(entries PPTP_HA_NODE=$node | jq -r 'select(._TRANSPORT != "journal") | .MESSAGE')" ""
done

# The same by hagent log; without a peer it says what it has. --root is empty, since journald's folders are here.
hagent() {
	"$build/hagent/hagent" --node gw1 "$@"
}
check_match "hagent log has it" "$(hagent log --of gw1 | grep -F 'engine started node=alone')" 'Z gw1 pptpd: engine started node=alone'
check_eq "hagent log --json: fields" "$(hagent log --of gw1 --json --since 10m |
    jq -r 'select(.event == "engine started") | .fields.pool' | sort -u)" 8
hagent log --of gw1 --follow --limit 1 >"$scratch/follow" 2>&1 &
follow_pid=$!
check "hagent log --follow begins" wait_for 10 [ -s "$scratch/follow" ]
for i in 1 2 3 4 5; do
	printf 'line i=%s\n' $i | systemd-cat -t pptpd -p warning
	sleep 0.3
done
check "hagent log --follow goes on" wait_for 10 grep -q 'line i=5' "$scratch/follow"
kill $follow_pid
wait $follow_pid
check_eq "each line once" "$(grep -o 'warning: line i=.*' "$scratch/follow" | paste -sd' ')" \
    "warning: line i=1 warning: line i=2 warning: line i=3 warning: line i=4 warning: line i=5"

