#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A gateway breaks under a session, in five ways; the other one continues it: a client that would redial
# has no reason to. Told for each: after how many milliseconds the other gateway answers a control
# connection, and after how many it has the session. Then the fault is healed: the node stands by, and the
# virtual address stays where it is.
# RUNS = runs of each fault (1), FAULTS = which.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/client.sh"
. "$(dirname "$0")/pair.sh"
runs=${RUNS:-1}

# one_run FAULT
one_run() {
	local active standby
	active=$(master)
	standby=$(other "$active")
	start_client "${static_user[@]}" --ping $api --rate 50
	if ! wait_for 10 sessions "$active" 1; then
		not_ok "$1: the client has a session on $active" "$(tail -n 3 "$scratch/client.err")"
		return
	fi
	start_probe "$standby" 20
	fault "$active" "$1"
	end_probe
	check "$1: $standby answers a client" [ -n "$answers_ms" ]
	check "$1: $standby has the session" [ -n "$session_ms" ]
	answered+=("${answers_ms:-20000}")
	back+=("${session_ms:-20000}")
	check_eq "$1: $standby is MASTER, serves, has the address" "$(role "$standby")" "MASTER active vip"
	sleep 1
	"$lab" heal "$active"
	check "$1, healed: $active stands by and the address has not moved" wait_for 15 settled "$standby"
	stop_client
	check_eq "$1: no session lost, none dialled again, with its own address" \
	    "$(r '"\(.connected) \(.redials) \(.lost) \(.address)"')" "1 0 0 10.8.0.10"
	check "$1: the session passes traffic there" passes_traffic "$standby"
	wait_for 5 sessions "$standby" 0
}

# passes_traffic NODE: the daemon there has moved packets of a session
passes_traffic() {
	[ "$(agent "$1" pptpd status | jq '.data.rx_packets > 0 and .data.tx_packets > 0')" = true ]
}

need_lab
build_client
check "gw1 came first and is MASTER, gw2 stands by" settled gw1
for fault in ${FAULTS:-power kill-pptpd kill-keepalived link-wan hang-pptpd}; do
	answered=()
	back=()
	for _ in $(seq "$runs"); do
		one_run "$fault"
	done
	note "figure: $fault, $runs run(s), min/median/max ms: the other gateway answers $(spread "${answered[@]}")" \
	    "figure: $fault, the session is there after $(spread "${back[@]}")"
done
