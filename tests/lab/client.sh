# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the scripts that use pptp-client share; comes after lib.sh.
# shellcheck shell=bash
vip=198.51.100.10
api=192.168.1.20
pptp_client=$build/tests/client/pptp-client
report=$scratch/report.json
static_user=(--user api-client --password 'Very$trongP@ss')
any_user=(--user u%d --password p%d)

# build_client: pptp-client, in the folder that `lab up` has configured
build_client() {
	local output
	if ! output=$(cmake --build "$build" --target pptp-client 2>&1); then
		not_ok "pptp-client builds" "${output: -2000}"
		exit 1
	fi
}

# client OPTION...: one run in the client's namespace; its JSON goes to $report
client() {
	on client timeout 120 "$pptp_client" --server $vip "$@" >"$report" 2>"$scratch/client.err"
}

# r FILTER: a value of the last report
r() {
	jq -r "$1" "$report" 2>/dev/null
}

# explain: the last report in short, for a check that failed
explain() {
	jq -c '{ok,asked,connected,lost,verified,encrypted,reasons,detail,traffic,faults,attack,ppp,gre}' "$report" 2>&1
	tail -n 5 "$scratch/client.err"
}

# check_client NAME OPTION...: passes if the client got all it asked for
check_client() {
	local name=$1
	shift
	if client "$@"; then
		ok "$name"
	else
		not_ok "$name" "pptp-client $*" "$(explain)"
	fi
}

# check_refused NAME REASON OPTION...: no session comes up, for this reason
check_refused() {
	local name=$1 reason=$2
	shift 2
	if client "$@"; then
		not_ok "$name" "it came up: pptp-client $*" "$(explain)"
	else
		check_eq "$name" "$(r '.reasons | keys | join(" ")')" "$reason"
	fi
}

status() {
	field "$(agent gw1 pptpd status)" "$1"
}
has_sessions() {
	[ "$(agent gw1 pptpd status | jq .sessions)" = "$1" ]
}
# drops: the daemon's drop counters as `name=value` lines, with what it put right
drops() {
	agent gw1 pptpd status | jq -r '.data | (.drops + {reordered: .rx_reordered}) | to_entries[] | "\(.key)=\(.value)"'
}
# firewall_drops: the firewall's counters of GRE that it did not let through
firewall_drops() {
	on gw1 nft -j list counters table inet pptp_ha |
	    jq -r '.nftables[].counter | select(.) | select(.name | test("^(drop|told)_gre")) | "\(.name)=\(.packets)"'
}
snapshot() {
	drops >"$scratch/drops.before"
	firewall_drops >>"$scratch/drops.before"
}
# grown NAME...: by how much these counters have grown, together, since the snapshot
grown() {
	local name now before sum=0
	{
		drops
		firewall_drops
	} >"$scratch/drops.now"
	for name in "$@"; do
		now=$(sed -n "s/^$name=//p" "$scratch/drops.now")
		before=$(sed -n "s/^$name=//p" "$scratch/drops.before")
		sum=$((sum + ${now:-0} - ${before:-0}))
	done
	echo "$sum"
}
# all_grown: every counter that has grown, for evidence
all_grown() {
	{
		drops
		firewall_drops
	} | while IFS='=' read -r name now; do
		local before
		before=$(sed -n "s/^$name=//p" "$scratch/drops.before")
		[ "$now" = "${before:-0}" ] || printf '%s+%d ' "$name" $((now - ${before:-0}))
	done
}
# check_between NAME VALUE LEAST MOST
check_between() {
	if [ -n "$2" ] && [ "$2" -ge "$3" ] && [ "$2" -le "$4" ]; then
		ok "$1"
	else
		not_ok "$1" "got \"$2\", want $3..$4"
	fi
}
engine_pid() {
	field "$("$lab" status)" .nodes.gw1.pptpd.engine
}
