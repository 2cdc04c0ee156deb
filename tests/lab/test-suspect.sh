#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A crash that follows a session: the engine of the active dies with it in hand, then that of the other
# gateway. After the first the session goes on as all others do, and is named; after the second it is
# closed, its client is told and dials anew, and nobody else loses anything.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/client.sh"
. "$(dirname "$0")/pair.sh"

# crash NODE CALL: prints "SESSION LOOKS MOMENT"
crash() {
	"$top/tests/lab/crumbs.py" "$(root "$1")" "$2" 20
}
in_step() {
	agent "$1" pptpd status | jq -e .replica.in_step
}
# call_of NODE: of the static user's session
call_of() {
	agent "$1" pptpd sessions | jq '.sessions[] | select(.address == "10.8.0.10") | .call'
}
closed() {
	[ "$(agent "$1" pptpd status | jq .suspects.closed)" = "$2" ]
}
logged() {
	log "$1" | grep -q "$2"
}

need_lab --users 8 --advert 0.1
build_client
check "gw1 serves, gw2 stands by" wait_for 10 settled gw1
# dial REPORT OPTION...: a client that is not in a hurry to give up
dial() {
	local to=$1
	shift
	"$lab" exec client "$pptp_client" --server $vip --redial --hold 600 --max-loss 1000000 --ping $api "$@" \
	    >"$to" 2>"$to.err" &
	background+=("$!")
}
dial "$scratch/others" "${any_user[@]}" --sessions 8 --rate 20
others_pid=$!
dial "$report" "${static_user[@]}" --rate 500
client_pid=$!
check "9 sessions" wait_for 15 sessions gw1 9
check "in step" wait_for 10 in_step gw1
sleep 1

if first=$(crash gw1 "$(call_of gw1)" 2>&1); then
	ok "gw1's engine is killed with the session in hand"
else
	not_ok "gw1's engine is killed with the session in hand" "$first"
fi
note "session, looks, moment: $first"
id=${first%% *}
check "gw2 serves" wait_for 10 is_role gw2 "MASTER active vip"
check "gw1's log names the session" wait_for 2 logged gw1 "engine crashed cause=signal-6 had_in_hand=.*$id"
check "gw2's log says that it is suspect" wait_for 3 logged gw2 'session suspect: in hand at a crash'
sleep 1
check "all 9 sessions go on" sessions gw2 9
"$lab" heal gw1 >/dev/null
check "gw1 is back and in step" wait_for 20 settled gw2
check "in step" wait_for 10 in_step gw2
check_match "hagent status tells of the crash on both nodes: gw1" "$(agent gw1 status)" "crash +pptpd's engine on gw1 .*signal-6"
check_match "hagent status tells of the crash on both nodes: gw2" "$(agent gw2 status)" "crash +pptpd's engine on gw1 .*signal-6"

if second=$(crash gw2 "$(call_of gw2)" 2>&1); then
	ok "gw2's engine is killed with it in hand"
else
	not_ok "gw2's engine is killed with it in hand" "$second"
fi
note "session, looks, moment: $second"
check_eq "it is the same session" "${second%% *}" "$id"
check "gw1 serves" wait_for 10 is_role gw1 "MASTER active vip"
check "the session is closed, and counted" wait_for 5 closed gw1 1
closing=$(log gw1 | grep -m 1 'session closed: in hand')
note "$closing" "figure: closed $(ms_since "${second##* }" "$(date -d "${closing%% *}" +%s.%N)") ms after the crash"
check "its client has dialled anew: 9 sessions" wait_for 10 sessions gw1 9
check_eq "it ended as suspect" "$(agent gw1 pptpd status | jq .totals.ended.suspect)" 1
stop_client
check "its client was told, and dialled anew" [ "$(r .redials)" -ge 1 ]
kill "$others_pid"
wait "$others_pid"
check_eq "nobody else lost anything" "$(jq -r '"\(.connected) \(.redials) \(.lost)"' "$scratch/others")" "8 0 0"
