#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The stream between the engines ends and does not come back, the agents still talk: the standby declares its copy stale, the active goes on alone for
# ALONE_S seconds, and loses its power. No session goes on with its keys: each gets new ones, under the
# same call, with the same address. A real client (pppd) stays the same process, and the connection inside
# its tunnel goes on. A second crowd of clients is idle: they have acknowledged everything, and do not say
# by themselves where they stand.
# SESSIONS, IDLE = how many of each; ALONE_S = how long (10).
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/client.sh"
. "$(dirname "$0")/pair.sh"
. "$(dirname "$0")/takeover.sh"
sessions=${SESSIONS:-20}
idle=${IDLE:-20}

# stale NODE: its copy is
stale() {
	agent "$1" pptpd status | jq -e .replica.stale >/dev/null
}
alone() {
	agent "$1" pptpd status | jq -e '.replica.state == "solo"' >/dev/null
}
# rekeyed NODE COUNT
rekeyed() {
	agent "$1" pptpd status | jq -e ".replica.rekeyed + .replica.dropped >= $2 and .replica.rekeying == 0" >/dev/null
}

answering() {
	stream_say figures figures && [ "$(field "$answer" .answering)" = true ]
}

build_tools
need_lab --advert "${ADVERT:-0.2}" --users $((sessions + idle))
check "the real client starts" "$realclient" start
answer=$("$realclient" connect)
check_eq "pppd connects" "$(field "$answer" .ok)" true
start_stream
before=$(identity)
start_capture
start_load "$sessions" 50 --echo-interval 3 --lcp-echo 10 --missing-window 300
exec {idle_pipe}< <("$lab" exec client "$pptp_client" --server $vip "${any_user[@]}" --sessions "$idle" \
    --source 198.18.80.1-198.18.90.254 --hold 600 2>"$scratch/idle.err")
want=$((sessions + idle + 1))
check "all are up" wait_for 30 sessions gw1 "$want"
check "and in step" wait_for 10 in_step gw1

# The stream would take another path at once: there is nobody behind it.
mv "$(root gw1)/run/pptp-ha/replica.sock" "$(root gw1)/run/pptp-ha/replica.away"
"$lab" fail gw1 link-sync >/dev/null
check "the standby's copy is stale, the active serves alone" wait_for 10 stale gw2
check "the active knows" wait_for 5 alone gw1
sleep "${ALONE_S:-10}"
stream_say mark marked
load_say "mark power" && load_answer mark
fault gw1 power
check "gw2 serves" wait_for 15 is_role gw2 "MASTER active vip"
note "figure: it serves after $(ms_since "$moment") ms"
check "every session has new keys, or its end" wait_for 35 rekeyed gw2 "$want"
note "figure: after $(ms_since "$moment") ms: $(agent gw2 pptpd status | jq -c '.replica | {resumed, rekeying, rekeyed, dropped}')"
check_eq "none was dropped" "$(agent gw2 pptpd status | jq .replica.dropped)" 0
check_eq "none went on with its old keys" "$(agent gw2 pptpd status | jq .replica.resumed)" 0
note "$(log gw2 | grep -E 're-keyed|takeover epoch|role changed' | sed 's/^[^ ]* *//' | sort | uniq | head -n 6)"
note "figure: ms from the first word to up: $(log gw2 | sed -n 's/.*re-keyed.* ms=//p' | sort -n | awk '{ v[NR] = $1 } END { print v[1] "/" v[int((NR + 1) / 2)] "/" v[NR] }')"
sleep 5
check_eq "the real client: the same pppd, pptp, unit and address" "$(identity)" "$before"
stream_say figures figures
note "figure: the real client's stream: $answer"
check_eq "its connection is the one that it had" "$(field "$answer" '"\(.connections) \(.alive)"')" "1 true"
# What is forwarded goes on if the connection tracking could be committed in time.
if agent gw2 journal | grep -E '^.* commit +ok' >/dev/null; then
	check "and it goes on" wait_for 20 answering
else
	note "the connection tracking was not committed in time: $(agent gw2 journal | grep ' commit ' | tail -n 1)"
fi
check_eq "its pings come back" "$("$realclient" ping $api --count 5 | jq .received)" 5
load_say window && load_answer window
note "figure: load: $answer"
check_eq "all of the load's sessions are up" "$(load_up)" "$sessions"
# While it was alone the active answered Echo-Requests of which gw2 knows nothing.
load_say "echo all 20" && load_answer echo 40
check_eq "Echo-Requests on all connections are answered" "$(field "$answer" '"\(.answered) of \(.asked)"')" \
    "$sessions of $sessions"
note "figure: holes: $(agent gw2 pptpd status | jq -c '.replica | {holes, holes_repaired}')"
check_eq "gw2 holds all sessions" "$(agent gw2 pptpd status | jq .sessions)" "$want"
stop_stream
check "the load ends in order" stop_load
did "the capture ends" stop_capture
"$key_check" --keylog "$keylog" --gateway gw1="${mac[gw1]}" --gateway gw2="${mac[gw2]}" "$capture" >"$scratch/keycheck.json" 2>&1
note "figure: key-check: $(jq -c 'del(.examples)' "$scratch/keycheck.json")"
# Probes bear numbers that the other gateway has used; they use no key.
check_eq "no key for two frames, nothing unreadable" "$(jq -c '[.faults.key_reused, .faults.unreadable]' "$scratch/keycheck.json")" "[0,0]"
