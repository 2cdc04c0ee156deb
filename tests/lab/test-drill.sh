#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Drills: what the report says is what an independent client measured; one that is broken off, asked for twice,
# or must be refused does no harm; both gateways have the report.
# SESSIONS = how many (30), RATE = packets a second of each (20), ADVERT = seconds (0.1).
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/client.sh"
. "$(dirname "$0")/pair.sh"
. "$(dirname "$0")/takeover.sh"
. "$(dirname "$0")/drill.sh"
n=${SESSIONS:-30}
need_lab --users "$n" --advert "${ADVERT:-0.1}" --conf "$(drills_conf)"
build_client
start_load "$n" "${RATE:-20}" --echo-interval 10 --lcp-echo 10
check_eq "$n sessions are up" "$(load_up)" "$n"

check_drill q-crash
id=$(d .id)
check "both gateways have the report" wait_for 10 on_both "$id"
check_match "as text" "$(agent gw1 drill show "$id")" "survived.*gap in ms"
check_match "as a page" "$(agent gw1 drill show --html "$id")" "<svg .*class=\"timeline\"|timeline"
check_match "in the list" "$(agent gw1 drill list)" "$id +crash +passed +$n"
check "nothing is left of it" wait_for 10 nothing_left

# Asked for at the one that serves: the other one drives it. Meanwhile a second one is refused, then it is broken off.
active=$(master)
wait_for 20 whole "$active"
load_say "mark abort" && load_answer mark
id=$(agent "$active" drill run --no-wait crash)
check_match "a drill that the standby drives" "$id" "-$(other "$active")\$"
check_fails "no second one meanwhile" agent "$(other "$active")" drill run planned
check "it is broken off" agent "$active" drill abort
check "with a report on both" wait_for 20 on_both "$id"
check_match "that says so" "$(agent "$active" drill show "$id")" "^aborted: it was broken off, in"
check_back "broken off"

# By its schedule: not in a blackout, and not on the one that serves.
active=$(master)
check_match "a blackout is kept" "$(agent "$(other "$active")" drill run --scheduled q-black 2>&1)" "^refused: .*blackout"
check_match "the one that serves leaves it to the other" "$(agent "$active" drill run --scheduled q-black)" "^no drill: "
check "its timer is rendered" grep -q '^OnCalendar=daily$' "$(root gw1)/etc/systemd/system/pptp-ha-drill@q-black.timer"

# A copy that is not current.
standby=$(other "$(master)")
fault "$standby" hang-pptpd
output=$(agent "$standby" drill run crash)
check_match "refused while the replica stands still" "$output" "^refused: .*(copy|fault|risk|MASTER|step)"
"$lab" heal "$standby"
check "nothing has moved" wait_for 20 whole "$(other "$standby")"
did "the client reports" stop_load
