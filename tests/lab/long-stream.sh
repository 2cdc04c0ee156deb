#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A real client (pppd, kernel MPPE, pptp-linux) with iperf3 and a small stream running over TCP inside of
# its tunnel, while the active gateway loses its power, back and forth. The same pppd, the same pptp and the
# same ppp unit must be there afterwards, and both TCP connections go on. The stream's gap has a grain of
# 5 ms, iperf3's one of 100 ms. RUNS = 10, METHOD = power, ADVERT = 0.02. Uses the release build.
export PHA_BUILD=${PHA_BUILD:-build}
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/client.sh"
. "$(dirname "$0")/pair.sh"
. "$(dirname "$0")/takeover.sh"
method=${METHOD:-power}
gaps=()
survived=0

# one_run NUMBER
one_run() {
	local active standby who
	active=$(master)
	standby=$(other "$active")
	who=$(identity)
	start_iperf 12
	stream_say mark mark
	sleep 2
	fault "$active" "$method"
	check "run $1: $standby serves" wait_for 20 is_role "$standby" "MASTER active vip"
	sleep 3
	check_eq "run $1: the same pppd, pptp and ppp unit" "$(identity)" "$who"
	stream_say figures figures
	note "figure: run $1, stream: $answer"
	check_eq "run $1: the stream goes on, on the same connection" \
	    "$(field "$answer" '"\(.connections) \(.alive) \(.answering)"')" "1 true true"
	gaps+=("$(field "$answer" .gap_ms)")
	end_iperf 20
	note "figure: run $1, iperf3: $answer"
	check_eq "run $1: iperf3's connection goes on to its end" \
	    "$(jq -r '"\(.exit) \(.silent_at_end)"' <<<"$answer")" "0 false"
	"$lab" heal "$active"
	check "run $1, healed: $active stands by" wait_for 30 whole "$standby"
	[ "$(identity)" != "$who" ] || survived=$((survived + 1))
}

need_lab --advert "${ADVERT:-0.02}"
check "the client starts" "$realclient" start
check_eq "pppd connects" "$(field "$("$realclient" connect)" .ok)" true
did "the client echoes a stream" start_stream
for run in $(seq "${RUNS:-10}"); do
	one_run "$run"
	# Without a tunnel there is nothing more to see.
	[ $survived = "$run" ] || break
done
check_eq "${RUNS:-10} runs, all survived" "$survived" "${RUNS:-10}"
note "figure: $method, $survived runs survived; gap of the stream min/median/max ms: $(spread "${gaps[@]}")"
stop_stream
"$realclient" disconnect >/dev/null
