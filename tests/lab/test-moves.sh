#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Planned moves under load: there and back, maintenance, a restart of the daemon that serves, and a refusal with
# its reason. No session is lost, and no packet but those that a counter names.
# SESSIONS = how many (30), RATE = packets a second of each (20), ADVERT = seconds (0.1).
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/client.sh"
. "$(dirname "$0")/pair.sh"
. "$(dirname "$0")/takeover.sh"
. "$(dirname "$0")/replica.sh"
. "$(dirname "$0")/moves.sh"
n=${SESSIONS:-30}

# kept NAME: of the last planned thing, every packet, or a counter tells
kept() {
	check "$1: no packet is missing that no counter names ($(w .packets_lost) missing; $counted)" \
	    [ "$(w .packets_lost)" -le "$(counted_sum)" ]
}
# refuses NODE REGEX: a switchover, with its reason, and nobody moves
refuses() {
	local active output
	active=$(master)
	if output=$(agent "$1" switchover 2>&1); then
		not_ok "a switchover is refused: $2" "it succeeded: $output"
	else
		check_match "a switchover is refused: $2" "$output" "$2"
	fi
	check_eq "and $active still serves" "$(role "$active")" "MASTER active vip"
}

need_lab --users "$n" --advert "${ADVERT:-0.1}"
build_tools
start_load "$n" "${RATE:-20}" --echo-interval 10 --lcp-echo 10
check_eq "$n sessions are up" "$(load_up)" "$n"
check "the standby has a whole copy" wait_for 10 whole gw1
moves_head

check_planned "switchover" gw2 agent gw1 switchover
kept "switchover"
check_match "the journal has it" "$(last_move gw1)" '"result":"moved".*"way":"handover"|"way":"handover".*"result":"moved"'
check_planned "and back, asked on the standby" gw1 agent gw1 switchover
kept "and back"
check_eq "every class of keys is open" "$(classes gw1)" "all:$n"

until=alone_in_step
check_planned "maintenance of the active" gw2 agent gw1 maintenance on
until=whole
kept "maintenance"
check_match "status says so" "$(agent gw1 status)" '[Mm]aintenance'
refuses gw2 'maintenance'
check_planned "the end of maintenance moves nothing" gw2 agent gw1 maintenance off
kept "the end of maintenance"

check_planned "pptpd restarts on the active: it moves first" gw1 "$lab" restart gw2 pptpd
kept "pptpd restarts"

"$lab" stop gw2 pptpd >/dev/null
refuses gw1 'step|pptpd|standby|peer'
"$lab" heal gw2
check "the standby is back" wait_for 10 whole gw1
check_planned "hagent restarts on the active" gw1 "$lab" restart gw1 --plain agent
did "the client reports" stop_load
note "figure: $(r '"\(.traffic.ping.sent) packets sent, \(.traffic.ping.lost) lost; longest gap ms \(.traffic.gap_ms.max)"')"
