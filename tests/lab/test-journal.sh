#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The journal: each step of each transition with its time, in the right order; a step that hangs is cut
# at its deadline and the rest goes on; the slowest step is named.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/client.sh"
. "$(dirname "$0")/pair.sh"

# journal NODE: its lines as JSON
journal() {
	agent "$1" journal --json --limit 200
}
# steps NODE TRANSITION: "step:result ..." of the last one of that kind
steps() {
	journal "$1" | jq -rs --arg t "$2" '
		([.[] | select(.kind == "transition" and .transition == $t)] | last.id) as $id |
		[.[] | select(.kind == "step" and .id == $id and .transition == $t) | "\(.step):\(.result)"] | join(" ")'
}
# move FROM: it loses its WAN cable and gets it back; the other one serves afterwards
move() {
	fault "$1" link-wan
	wait_for 10 is_role "$(other "$1")" "MASTER active vip"
	"$lab" heal "$1"
	wait_for 10 settled "$(other "$1")"
}

need_lab
active=gw1
check "gw1 became MASTER in this order" in_order "$(steps gw1 MASTER)" copy:skipped epoch:ok promote:ok announce:ok
check "with its flows in this one" in_order "$(steps gw1 MASTER)" copy:skipped commit:ok gate-open:ok announce:ok
check_match "gw2 became BACKUP in this order" "$(steps gw2 BACKUP)" '^(gate-shut:ok yield:skipped|yield:skipped gate-shut:ok) demote:ok conntrack'
for i in 1 2 3 4 5; do
	check "move $i" move "$active"
	active=$(other "$active")
done
for node in gw1 gw2; do
	check_eq "$node: each line has its time, each step how long it took" \
	    "$(journal $node | jq -rs 'map(select((.time | test("^2[0-9-]+T[0-9:.]+Z$") | not) or (.kind == "step" and (.ms | type) != "number"))) | length')" 0
done
slowest=$({ journal gw1; journal gw2; } | jq -rs '[.[] | select(.kind == "step" and .transition == "MASTER")] |
    max_by(.ms) | "\(.step), \(.ms) ms"')
check_match "the journal for people names the slowest step" "$(agent $active journal)" 'slowest step of [0-9]+ transitions: [a-z-]+, [0-9]+ ms'
note "figure: the slowest step on the way to MASTER, of 6 transitions: $slowest" \
    "figure: transitions to MASTER, min/median/max ms: $(spread $({ journal gw1; journal gw2; } |
	jq -r 'select(.kind == "transition" and .transition == "MASTER") | .ms'))"

# ---- words that mean nothing ----
lines=$(journal $active | jq -s '[.[] | select(.kind == "transition")] | length')
for word in MASTER MASTER; do
	agent $active notify INSTANCE PPTP_HA $word 250 >/dev/null
done
agent "$(other $active)" notify INSTANCE PPTP_HA BACKUP 249 >/dev/null
check_eq "a notify line for a role that is held begins nothing" \
    "$(journal $active | jq -s '[.[] | select(.kind == "transition")] | length')" "$lines"
check "and all is as it was" settled $active
check_fails "a word that is none is refused" agent $active notify INSTANCE PPTP_HA MISTRESS 250

# ---- a step that hangs ----
standby=$(other $active)
hung=$(lab_status ".nodes.$standby.processes.conntrackd")
kill -STOP "$hung"
start_probe "$standby" 10
fault $active link-wan
end_probe
check "conntrackd hangs: the gateway serves all the same" [ -n "$answers_ms" ]
note "figure: with a step that hangs, the gateway answers after $answers_ms ms"
sleep 1
check_match "the journal says that the step was cut, and the rest went on" "$(steps "$standby" MASTER)" \
    'epoch:ok promote:ok .*commit:cut gate-open:ok announce:ok'
journal "$standby" | jq -r 'select(.result == "cut") | "# cut: \(.transition) \(.step) after \(.ms) ms"'
kill -CONT "$hung"
"$lab" heal $active
check "afterwards all is well" wait_for 10 settled "$standby"
