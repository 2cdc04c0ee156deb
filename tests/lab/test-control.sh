#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Control connections after a takeover: Echo-Request, Set-Link-Info and Call-Clear-Request work on the
# restored ones. Then holes are made on purpose: the active's engine stands still, every client says
# Echo-Request, which the kernel acknowledges and nobody reads; the engine is killed by its watchdog, and
# the other gateway has to notice that 16 bytes of every connection will never come again, build it at
# the clients' numbers, and answer what it has not seen. SESSIONS = how many (40).
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/client.sh"
. "$(dirname "$0")/pair.sh"
. "$(dirname "$0")/takeover.sh"
n=${SESSIONS:-40}

# asked COMMAND [SECONDS]: how many were asked, and how many were answered
asked() {
	load_say "$1" && load_answer "${1%% *}" "${2:-40}" && field "$answer" '"\(.asked) \(.answered)"'
}
# status_of NODE FILTER: of its daemon
status_of() {
	field "$(agent "$1" pptpd status)" "$2"
}
# none_waits NODE: every connection that it took over has its socket
none_waits() {
	[ "$(status_of "$1" '.replica | "\(.restoring)"')" = 0 ]
}
mended() {
	[ "$(status_of "$1" '.replica | "\(.holes_repaired)"')" = "$2" ]
}

need_lab --users "$n" --advert "${ADVERT:-0.02}"
build_client
check "gw1 serves, gw2 stands by" settled gw1
start_load "$n" 2
check_eq "$n sessions are up" "$(load_up)" "$n"
check "the standby has a whole copy" wait_for 10 whole gw1
check_eq "Echo-Request is answered before" "$(asked "echo all")" "$n $n"

fault gw1 power
check "gw2 serves after the power cut" wait_for 10 is_role gw2 "MASTER active vip"
check "every connection is restored" wait_for 5 none_waits gw2
note "figure: connections restored, ms since the cut: $(ms_since "$moment")"
check_eq "Echo-Request is answered on the restored connections" "$(asked "echo all 10")" "$n $n"
load_say "sli all"
check "Set-Link-Info is sent on all" load_answer sli
check_eq "Echo-Request is answered after it" "$(asked "echo all 10")" "$n $n"
check_eq "no hole was found" "$(status_of gw2 '.replica | "\(.holes) \(.holes_repaired)"')" "0 0"
"$lab" heal gw1
check "gw1 has come back and has a whole copy" wait_for 20 whole gw2

engine=$(lab_status .nodes.gw2.pptpd.engine)
kill -STOP "$engine"
moment=$EPOCHREALTIME
load_say "echo all 30"
check "gw1 serves after gw2's engine hung" wait_for 10 is_role gw1 "MASTER active vip"
load_answer echo 40
check_eq "every Echo-Request that nobody read is answered" "$(field "$answer" '"\(.asked) \(.answered)"')" "$n $n"
note "figure: answers after a hole, ms since the engine stood still: $(ms_since "$moment")"
check "every hole is repaired" wait_for 5 mended gw1 "$n"
check_eq "one hole in each connection" "$(status_of gw1 '.replica | "\(.holes)"')" "$n"
check_eq "Echo-Request is answered on the repaired connections" "$(asked "echo all 10")" "$n $n"
"$lab" heal gw2
check "gw2 has come back and has a whole copy" wait_for 20 whole gw1

check_eq "Call-Clear-Request is answered" "$(asked "clear 0-4 10")" "5 5"
check_eq "the other sessions are up, all of them" "$(load_up)" "$((n - 5))"
check "the calls are gone from gw1" wait_for 5 sessions gw1 $((n - 5))
check_eq "nobody dialled again" "$(load_say status && load_answer status && field "$answer" '"\(.redials)"')" 0
stop_load
check "all have gone in order" wait_for 5 sessions gw1 0
