# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the scripts about the pair share; comes after lib.sh and client.sh.
# shellcheck shell=bash
probe=$top/tests/lab/probe.py
declare -A mac=([gw1]=02:00:00:00:01:01 [gw2]=02:00:00:00:01:02)
background=()

# lab_status FILTER
lab_status() {
	"$lab" status | jq -r "$1"
}

# master: who keepalived made MASTER; other NODE: its peer
master() {
	lab_status '[.nodes | to_entries[] | select(.value.role == "MASTER") | .key] | join(" ")'
}
other() {
	[ "$1" = gw1 ] && echo gw2 || echo gw1
}

# role NODE: what keepalived, the daemon and the address say, e.g. "MASTER active vip"
role() {
	lab_status ".nodes.$1 | \"\\(.role) \\(.pptpd.role) \\(if .vip then \"vip\" else \"no vip\" end)\""
}
is_role() {
	[ "$(role "$1")" = "$2" ]
}
# settled ACTIVE: it serves, and the other one stands by
settled() {
	is_role "$1" "MASTER active vip" && is_role "$(other "$1")" "BACKUP standby no vip"
}

# start_client OPTION...: a client that redials, until stop_client; its JSON goes to $report
start_client() {
	"$lab" exec client "$pptp_client" --server $vip --redial --echo-interval 1 --lcp-echo 1 --hold 600 \
	    --max-loss 1000000 "$@" >"$report" 2>"$scratch/client.err" &
	client_pid=$!
	background+=("$client_pid")
}
stop_client() {
	kill "$client_pid" 2>/dev/null
	wait "$client_pid" 2>/dev/null
}
# sessions NODE COUNT
sessions() {
	[ "$(agent "$1" pptpd status | jq .sessions)" = "$2" ]
}

# start_probe NODE SECONDS: waits in the background for this node to serve
start_probe() {
	exec 8< <(exec "$lab" exec client "$probe" "$(root "$1")" "${mac[$1]}" "$2" 2>&1)
	read -r _ <&8
}
# end_probe: its result, in $answers_ms and $session_ms after $moment; empty = never
end_probe() {
	local result
	read -r result <&8
	exec 8<&-
	answers_ms=$(field "$result" .answers)
	session_ms=$(field "$result" .session)
	[ -z "$answers_ms" ] || answers_ms=$(ms_since "$moment" "$answers_ms")
	[ -z "$session_ms" ] || session_ms=$(ms_since "$moment" "$session_ms")
}

# timed_checks NODE: 10 runs of `hagent check`: "STATUSES MEDIAN SLOWEST", e.g. "0 9 17"
timed_checks() {
	# shellcheck disable=SC2016
	on "$1" bash -c 'for i in 1 2 3 4 5 6 7 8 9 10; do
			begin=${EPOCHREALTIME/./}
			"$3" --node "$1" --root "$2" check >/dev/null 2>&1
			statuses="$statuses $?"
			all="$all $(((${EPOCHREALTIME/./} - begin) / 1000))"
		done
		echo $(printf "%s\n" $statuses | sort -u) $(printf "%s\n" $all | sort -n | sed -n "5p;10p")' - "$1" "$(root "$1")" "$checker"
}
# check_timed NODE STATE STATUS
check_timed() {
	local status median worst
	read -r status median worst < <(timed_checks "$1")
	check_eq "hagent check with the agent $2: status" "$status" "$3"
	check "hagent check with the agent $2: within 100 ms" [ "${median:-9999}" -le 100 ]
	note "figure: hagent check, agent $2: median $median ms, slowest of 10 $worst ms"
}

# spread NUMBER...: minimum/median/maximum
spread() {
	printf '%s\n' "$@" | sort -n | awk '{ v[NR] = $1 } END { printf "%s/%s/%s\n", v[1], v[int((NR + 1) / 2)], v[NR] }'
}

end_of_pair() {
	local status=$? pid
	for pid in "${background[@]}"; do
		kill "$pid" 2>/dev/null
	done
	(exit $status)
	end_of_script
}
trap end_of_pair EXIT
