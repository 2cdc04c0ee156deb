#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Hostile peers with time on their hands: clients that do not read, that open and clear calls without
# end, hold every place, flood, storm and crawl; a monitor that stands still; reloads without end. After
# each the gateway serves newcomers, by the same engine, and nothing is left behind.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/client.sh"

# attack NAME ARGUMENT...: its JSON goes to $attacked
attack() {
	attacked=$(on client timeout 60 python3 "$top/tests/lab/hostile.py" "$@" 2>"$scratch/hostile.err") ||
	    attacked=$(tail -n 3 "$scratch/hostile.err")
	note "$1: $attacked"
}
# a FILTER: a value of the last attack
a() {
	jq -r "$1" <<<"$attacked" 2>/dev/null
}
descriptors() {
	ls "/proc/$1/fd" | wc -l
}
log_size() {
	log gw1 | wc -c
}
reconfigure() {
	sed -i "$2" "$(root gw1)/etc/$1" && agent gw1 pptpd reload >/dev/null
}
idle() {
	[ "$(agent gw1 pptpd status | jq -c '[.control_connections, .sessions]')" = "[0,0]" ]
}
dial() {
	on client timeout 60 "$pptp_client" --server $vip "${any_user[@]}" "$@" 2>"$scratch/dial.err"
}

need_lab --single --users 60
build_client
engine=$(engine_pid)
monitor=$(field "$("$lab" status)" .nodes.gw1.pptpd.monitor)
before="$(descriptors "$engine") $(descriptors "$monitor")"

# ---- on TCP/1723 ----

attack deaf-client
check_between "a client that does not read while its calls end: others are served" "$(a '.newcomer_ms | ceil')" 1 2000
check_between "  and the gateway keeps little for it (unread replies)" "$(a .limit)" 100 5000

size=$(log_size)
attack churn 3
check_eq "calls opened and cleared without end: newcomers are served" "$(a .failed)" 0
check_between "  in the log too they take little room (bytes)" $(($(log_size) - size)) 0 40000

attack storm 3
check_eq "connections reset and closed at every step: newcomers are served" "$(a .failed)" 0

reconfigure pptpd.conf '$a stimeout 3'
attack slow 100 5
check_eq "first messages byte by byte: none outlives stimeout" "$(a '[.ended, .seconds < 5] | tostring')" "[100,true]"

reconfigure pptpd.conf 's/^connections .*/connections 20/'
attack hold 20 1 8
check_eq "strangers in every place: newcomers wait" "$(a '.failed > 0')" true
check_eq "  for some seconds, not for as long as strangers like" "$(a '.newcomers - .failed > 20')" true
wait_for 5 idle
reconfigure pptpd.conf 's/^connections .*/connections 300/'

# ---- in GRE ----

attack amplify
check_between "a forged packet elicits one packet at most" "$(a .packets)" 0 1
check_between "  and not much more than itself (per cent)" "$(a '.ratio * 100 | ceil')" 0 150

attack frames 3 1400 20
check_eq "a flood of frames that ask for answers: newcomers are served" "$(a .failed)" 0
dial --sessions 20 --parallel 1 --ping $api --count 3 >"$report"
check_eq "  and others log in" "$(r '[.connected, .traffic.ping.lost] | tostring')" "[20,0]"

# ---- behind a login ----

dial --sessions 30 --parallel 5 --source 198.18.1.1-198.18.1.30 --hold 3 >"$scratch/crowd.json" &
crowd=$!
wait_for 5 has_sessions 30
check_client "any number of others leave a user's own address alone" "${static_user[@]}" --ping $api --count 3
wait $crowd
check_eq "  while they are there" "$(jq .connected "$scratch/crowd.json")" 30

# ---- the monitor ----

dial --sessions 40 --parallel 4 --timeout 15 --hold 1 >"$report" &
dialling=$!
sleep 0.1
kill -STOP "$monitor"
sleep 2
kill -CONT "$monitor"
wait $dialling
check_eq "the monitor stands still while clients dial: all get in" "$(r .connected)" 40

for _ in $(seq 60); do
	kill -HUP "$monitor"
	sleep 0.02
done &
storm=$!
check_client "reloads without end: clients log in" "${any_user[@]}" --sessions 40 --parallel 4 --ping $api --count 3
wait $storm

# ---- afterwards ----

check "all have gone" wait_for 10 idle
check_eq "the engine is the one that was started" "$(engine_pid)" "$engine"
check_eq "neither process has kept a descriptor" "$(descriptors "$engine") $(descriptors "$monitor")" "$before"
check_eq "no call is left in the firewall" \
    "$(on gw1 nft -j list set inet pptp_ha calls | jq '[.nftables[] | .set?.elem // [] | length] | add')" 0
check_eq "no host route is left" "$(on gw1 ip -o route show dev pppha0 2>/dev/null | grep -c '^10\.8\.[0-9.]* scope')" 0
