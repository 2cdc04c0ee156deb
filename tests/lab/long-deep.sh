#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The deep check beside many sessions: while all of them are set up, while they are busy, after a takeover of
# all of them, it accuses nobody; then a worker hangs, and it does. `hagent check` answers in time throughout.
# SESSIONS = 1000, ADVERT = 0.1; with 10000 the client needs a machine of its own. Uses the release build.
export PHA_BUILD=${PHA_BUILD:-build}
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/client.sh"
. "$(dirname "$0")/pair.sh"
. "$(dirname "$0")/takeover.sh"
. "$(dirname "$0")/replica.sh"
many=${SESSIONS:-1000}

deep_state() {
	agent "$1" status --json | jq -r '.. | .deep? | objects | .state' | head -n 1
}
is_fine() {
	[ "$(deep_state "$1")" = fine ]
}
accused() {
	agent "$1" journal --limit 200 --json | grep -cE '"deep-check-(failed|unsure)"'
}
# all_restored NODE: its connections are restored
all_restored() {
	[ "$(rep "$1" .restoring)" = 0 ]
}
# keep_checking NODE: until stop_checking, ten runs a second or so; each one's STATUS MILLISECONDS
keep_checking() {
	# shellcheck disable=SC2016
	on "$1" bash -c 'while sleep 0.05; do
			begin=${EPOCHREALTIME/./}
			hagent --node "$1" --root "$2" check >/dev/null 2>&1
			echo "$? $(((${EPOCHREALTIME/./} - begin) / 1000))"
		done' - "$1" "$(root "$1")" >"$scratch/checks" &
	checking=$!
	background+=("$checking")
}
# stop_checking WHEN [1]: with 1 the time is judged; a client that takes all of the machine is no test
stop_checking() {
	local figures
	kill "$checking"
	wait "$checking" 2>/dev/null
	figures=$(awk '{ print $2 }' "$scratch/checks" | sort -n |
	    awk '{ v[NR] = $1 } END { printf "%d runs, median %d, p99 %d, slowest %d ms", NR, v[int((NR + 1) / 2)], v[int(NR * 0.99 + 0.5)], v[NR] }')
	figures="$figures; $(grep -c '^1' "$scratch/checks") said no"
	[ "${2:-}" != 1 ] || check "hagent check $1: the median is within 100 ms" \
	    [ "$(awk '{ print $2 }' "$scratch/checks" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }')" -le 100 ]
	note "figure: hagent check $1: $figures"
}

build_tools
need_lab --advert "${ADVERT:-0.1}" --users $((many + 100))
check "the check runs" wait_for 15 is_fine gw1

keep_checking gw1
start_load "$many" 0 --lcp-echo 20 --echo-interval 20
check_eq "$many sessions are up" "$(load_up)" "$many"
check "the standby has a whole copy" wait_for 60 whole gw1
stop_checking "while $many sessions are set up"
check "the check still runs" wait_for 5 is_fine gw1
check_eq "it has accused nobody" "$(accused gw1)" 0

keep_checking gw1
sleep 5
stop_checking "with $many sessions" 1

load_say "mark power" && load_answer mark
fault gw1 power
check "gw2 serves" wait_for 20 is_role gw2 "MASTER active vip"
check "the check runs there" wait_for 20 is_fine gw2
note "figure: after a takeover of $many sessions the check runs $(ms_since "$moment") ms after the fault"
check_eq "it has accused nobody" "$(accused gw2)" 0
load_say window && load_answer window
window=$answer
check_eq "no session is lost by the takeover" "$(w '"\(.up) up, \(.lost) lost, \(.redials) redials"')" \
    "$many up, 0 lost, 0 redials"
"$lab" heal gw1 >/dev/null
check "gw1 has a whole copy" wait_for 60 whole gw2
sleep 8 # by now the stream is on its own path
check "and still has" wait_for 60 whole gw2
load_say "mark hang" && load_answer mark

# hang NODE: a worker of it; since $moment. mend NODE: another daemon.
hang() {
	exec 7< <(exec "$top/tests/lab/stop-thread.py" "$(lab_status ".nodes.$1.pptpd.engine")" data1)
	stopper=$!
	background+=("$stopper")
	read -r moment <&7
}
mend() {
	kill "$stopper"
	"$lab" restart "$1" --plain pptpd >/dev/null
}
# nobody_lost WHAT
nobody_lost() {
	check "$1: every connection has its socket" wait_for 60 all_restored "$(master)"
	load_say "echo all 60" && load_answer echo 90
	check_eq "$1: every connection answers" "$(field "$answer" '"\(.answered) of \(.asked)"')" "$many of $many"
	load_say window && load_answer window
	window=$answer
	check_eq "$1: no session is lost" "$(w '"\(.up) up, \(.lost) lost, \(.redials) redials"')" \
	    "$many up, 0 lost, 0 redials"
}
hang gw2
check "a worker hangs: the other gateway serves" wait_for 20 is_role gw1 "MASTER active vip"
note "figure: a worker with half of $many sessions hangs: the other gateway serves after $(ms_since "$moment") ms;" \
    "$(agent gw2 journal --limit 30 | grep -m 1 deep-check-failed)"
nobody_lost "a worker hung"
mend gw2

# The stream breaks just then: it can never be in step again.
sleep 8
check "gw2 has a whole copy" wait_for 60 whole gw1
load_say "mark both" && load_answer mark
hang gw1
"$lab" fail gw1 link-sync >/dev/null
check "a worker hangs, and the stream breaks: the other gateway serves" wait_for 30 is_role gw2 "MASTER active vip"
note "figure: and with the stream broken: after $(ms_since "$moment") ms"
nobody_lost "a worker hung and the stream broke"
[ "$(w .lost)" = 0 ] || note "$(grep -o 'reason=.*' "$scratch/load.err" | sort | uniq -c | sort -rn | head -5)"
did "the client reports" stop_load
