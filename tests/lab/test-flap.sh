#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A link that flaps: whoever serves loses his WAN link again and again. Two automatic moves, then the pair
# holds, both say why, and no session is lost; who dies meanwhile is replaced all the same. Before that, a
# switch takes both gateways' links: nothing moves.
# CUTS = how many (6), PERIOD = seconds from one to the next (2), CUT = how long (1). The whole minute:
# CUTS=10 PERIOD=6 CUT=3.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/client.sh"
. "$(dirname "$0")/pair.sh"
cuts=${CUTS:-6}
period=${PERIOD:-2}
cut=${CUT:-1}
rest=$(awk -v p="$period" -v c="$cut" 'BEGIN { print p - c }')

# events NODE EVENT: how many of them its journal has
events() {
	grep -c "\"event\":\"$2\"" "$(root "$1")/var/lib/pptp-ha/journal"
}
# promotions: transitions to MASTER that both journals know
promotions() {
	cat "$(root gw1)"/var/lib/pptp-ha/journal "$(root gw2)"/var/lib/pptp-ha/journal |
	    grep '"kind":"transition"' | grep -c '"transition":"MASTER"'
}
flap() {
	agent "$1" status --json | jq -r ".flap.$2"
}
flaps() {
	[ "$(flap "$1" state)" = "$2" ]
}
said() {
	agent "$1" status 2>&1 | grep -Em 1 "^holds"
}

# The product's own limits, and adverts of its own pace: a machine that is busy must not look like a fault.
need_lab --users 20 --advert 0.1 --conf ''
build_client
check "gw1 serves, gw2 stands by" wait_for 10 settled gw1
"$lab" exec client "$pptp_client" --server $vip --redial --hold 600 --max-loss 1000000 "${any_user[@]}" \
    --sessions 20 --ping $api --rate 20 >"$report" 2>"$scratch/client.err" &
client_pid=$!
background+=("$client_pid")
check "20 sessions" wait_for 15 sessions gw1 20
sleep 1

# ---- a switch ----
# both_gone NAME SECONDS: gw1's link goes, and SECONDS later that of gw2
both_gone() {
	on wan sh -c "ip link set gw1 down; sleep $2; ip link set gw2 down"
	sleep 1.5
	check_eq "$1: gw1 still has the sessions" "$(agent gw1 pptpd status | jq .sessions)" 20
	on wan sh -c "ip link set gw1 up; ip link set gw2 up"
	check "$1, and back: nothing has moved" wait_for 10 is_role gw1 "MASTER active vip"
	check "$1, and back: 20 sessions" sessions gw1 20
}
both_gone "both links go at once" 0
both_gone "one after the other" 0.15

# ---- flapping ----
before=$(promotions)
for i in $(seq "$cuts"); do
	active=$(master)
	[ -n "$active" ] || active=$last
	last=$active
	fault "$active" link-wan
	sleep "$cut"
	if [ "$i" = "$cuts" ]; then
		standby=$(other "$active")
		riding=$(said "$active")
		held=$(said "$standby")
		peers=$(agent "$active" status --json | jq -r .peer.hold)
	fi
	"$lab" heal "$active" >/dev/null
	sleep "$rest"
done
moved=$(($(promotions) - before))
check "$cuts cuts: two automatic moves at most" [ "$moved" -le 2 ]
check "$cuts cuts: it did move" [ "$moved" -ge 1 ]
note "$active: $riding" "$standby: $held"
check_match "the active says why it rides it out" "$riding" 'serves on without a link for [0-9]+ s at most because of 2 automatic moves'
check_match "the standby says why it is held" "$held" 'held down for [0-9]+ s more because'
check_match "the active knows that of its peer" "$peers" 'held down for [0-9]+ s more because'
check "the journal tells both" [ "$(events "$active" rides)" -ge 1 ] && [ "$(events "$standby" held)" -ge 1 ]
check_eq "all sessions are there" "$(agent "$active" pptpd status | jq .sessions)" 20

# ---- the LAN's link, too ----
fault "$active" link-lan
sleep 1
check_match "at the limit: a LAN link is ridden out, too" "$(said "$active")" 'serves on without a link'
check_eq "both addresses are still there" "$(agent "$active" status --json | jq -c '[.vip.wan_here, .vip.lan_here]')" "[true,true]"
"$lab" heal "$active" >/dev/null
check "nothing has moved" is_role "$active" "MASTER active vip"

# ---- an agent that starts anew remembers ----
kill -KILL "$(lab_status ".nodes.$standby.processes.agent")"
"$lab" heal "$standby" >/dev/null
check "the standby's agent starts anew: it is held as before" wait_for 5 flaps "$standby" held

# ---- and who dies is replaced ----
start_probe "$standby" 20
fault "$active" kill-pptpd
end_probe
check "held or not: when the active's daemon dies, the other one serves" [ -n "$answers_ms" ]
note "figure: held down, active's daemon killed: it answers after $answers_ms ms, has the session after $session_ms ms"
stop_client
check_eq "no session lost, none dialled again" "$(r '"\(.connected) \(.redials) \(.lost)"')" "20 0 0"
