#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# `hagent check` answers in time whatever state the agent is in, and `hagent status` says on both nodes, in
# words, what is wrong in each fault.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/client.sh"
. "$(dirname "$0")/pair.sh"

pid() {
	lab_status ".nodes.$1.processes.$2"
}
# says NODE REGEX
says() {
	agent "$1" status >"$scratch/said" 2>&1
	grep -Eq "$2" "$scratch/said"
}
# check_words NAME NODE REGEX
check_words() {
	if wait_for 5 says "$2" "$3"; then
		ok "$1"
		note "$2: $(grep -Em 1 "$3" "$scratch/said")"
	else
		not_ok "$1" "want /$3/ in:" "$(cat "$scratch/said")"
	fi
}

need_lab
check "gw1 serves, gw2 stands by" settled gw1
check_words "all well: the active says so" gw1 '^nothing is wrong'
check_words "all well: the standby says so" gw2 '^nothing is wrong'

# ---- hagent check ----
check_timed gw1 healthy 0
hung=$(pid gw1 agent)
moment=$EPOCHREALTIME
start_probe gw2 15
kill -STOP "$hung"
check_timed gw1 hung 1
end_probe
check "the agent of the active hangs: the other gateway takes over" [ -n "$answers_ms" ]
note "figure: agent of the active hung, the other gateway answers after $answers_ms ms"
kill -CONT "$hung"
check "it runs again: it stands by" wait_for 10 settled gw2
kill -KILL "$hung"
wait_for 3 gone "$hung"
check_timed gw1 dead 1
check_match "hagent status says that the agent does not run" "$(agent gw1 status 2>&1)" 'agent'
"$lab" heal gw1
check "started again, it stands by" wait_for 10 settled gw2

# ---- programs beside ----
kill -KILL "$(pid gw1 conntrackd)"
check_words "conntrackd died: the node says so" gw1 'wrong.*conntrackd'
kill -KILL "$(pid gw1 sshd)"
check_words "the pair's sshd died: the node says so" gw1 'wrong.*sshd'
"$lab" heal gw1
check_words "both are back" gw1 '^nothing is wrong'

# ---- each fault ----
# fault_words FAULT REGEX-HERE REGEX-PEER
fault_words() {
	local active standby
	active=$(master)
	standby=$(other "$active")
	fault "$active" "$1"
	[ -z "$2" ] || check_words "$1: the node says what is wrong" "$active" "$2"
	check_words "$1: its peer says it, too" "$standby" "$3"
	"$lab" heal "$active"
	if [ "$1" = link-sync ]; then
		check "$1 healed: nothing has moved" wait_for 10 settled "$active"
	else
		check "$1 healed: the other one serves" wait_for 10 settled "$standby"
	fi
	check_words "$1 healed: the node says so" "$active" '^nothing is wrong'
	check_words "$1 healed: its peer, too" "$standby" '^nothing is wrong'
}
fault_words kill-pptpd 'wrong.*pptpd does not answer' 'wrong .[a-z]+. gw. says: pptpd does not answer'
fault_words hang-pptpd 'wrong.*pptpd does not answer' 'wrong .[a-z]+. gw. says: pptpd does not answer'
fault_words kill-keepalived 'wrong.*keepalived died' 'wrong .[a-z]+. gw. says: keepalived died'
fault_words link-wan 'wrong.*WAN interface wan is down' 'wrong .[a-z]+. gw. says: .*WAN interface wan is down'
fault_words link-sync 'wrong.*sync interface sync is down' 'wrong .[a-z]+. gw. says: .*sync interface sync is down'
fault_words power '' 'wrong.*peer is silent on every path'
