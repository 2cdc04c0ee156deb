#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every kind of drill with 100 sessions against an independent client; each broken off at the beginning of each of its
# parts; agents and the drive itself killed in the middle. Whatever is tried, the pair serves and nobody is lost.
# SESSIONS (100), RATE (20), ADVERT (0.1), KINDS, PARTS.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/client.sh"
. "$(dirname "$0")/pair.sh"
. "$(dirname "$0")/takeover.sh"
. "$(dirname "$0")/drill.sh"
n=${SESSIONS:-100}
kinds=${KINDS:-planned crash link daemon load}
parts=${PARTS:-check join before strike take after heal}
# u0 is the witness's and the load's; the client has the others.
need_lab --users $((n + 40)) --advert "${ADVERT:-0.1}" --conf "health { moves-per-10-minutes = 100 hold-down-s = 0 }
$(AFTER_DRILL_S=4 drills_conf "account = u$((n + 1))")"
build_client
start_load "$n" "${RATE:-20}" --echo-interval 10 --lcp-echo 10
check_eq "$n sessions are up" "$(load_up)" "$n"

for kind in $kinds; do
	did "drill $kind" drilled "q-$kind"
	check_eq "drill $kind passes" "$(d .verdict)" passed
	[ "$(d .verdict)" = passed ] || note "$(d '.why, (.phases[] | "\(.name) \(.result) \(.text)")')"
	# The witness and the load are sessions too: the client's own are all of u0..
	check "drill $kind: no session of the client is lost" [ "$(w '.lost + .redials')" = 0 ]
	check "drill $kind: none is lost in the report" [ "$(d '.sessions.lost + .sessions.redialled')" = 0 ]
	for q in min median p99 max; do
		note "$kind $q: report $(d ".gap_ms.$q") client $(w ".gap_ms.$q")"
	done
	note "figure: drill $kind: $(d '.sessions | tojson') gap $(d '.gap_ms | tojson') client $(w '.gap_ms | tojson') lost $(d .packets.lost)/$(w .packets_lost) witness $(d '.witness | if . then {ok, text, held} | tojson else "none" end') load $(d '.load | tojson')"
	if ! watched; then
		note "drill $kind: the client's longest gap is $(w '.worst[0].from_ms') ms from its mark, when nobody watched"
		continue
	fi
	check "drill $kind: the median gap is the client's within 10 ms" near "$(d .gap_ms.median)" "$(w .gap_ms.median)"
	check "drill $kind: the longest gap is the client's within 10 ms" near "$(d .gap_ms.max)" "$(w .gap_ms.max)"
done

for kind in $kinds; do
	for part in $parts; do
		wait_for 40 someone_is_whole
		load_say "mark $kind-$part" && load_answer mark
		drill=$(agent "$(other "$(master)")" drill run --json --abort-at "$part" "q-$kind" 2>/dev/null)
		check_eq "$kind broken off at $part" "$(d .verdict)" aborted
		check_back "$kind broken off at $part"
	done
done

# begin_crash: one is under way, and has come to PART
begin_crash() {
	wait_for 40 someone_is_whole
	active=$(master)
	standby=$(other "$active")
	load_say "mark $1" && load_answer mark
	id=$(agent "$standby" drill run --no-wait q-crash)
	wait_for 20 is_in "$1"
}
is_in() {
	[ "$(jq -r .state "$(root "$active")/run/pptp-ha/drill-guard" 2>/dev/null)" = struck ] || [ "$1" != struck ]
}
# child_of NODE WORD: the oldest child of its agent with that word after `drill`
child_of() {
	pgrep -o -P "$(lab_status ".nodes.$1.processes.agent")" -f "drill $2 "
}
begin_crash struck
"$lab" fail "$standby" kill-agent >/dev/null
sleep 8
"$lab" heal "$standby"
check_back "the driver's agent killed"
check_match "it is in the report" "$(agent "$standby" drill show "$id")" "aborted|failed"

begin_crash struck
"$lab" fail "$active" kill-agent >/dev/null
sleep 3
"$lab" heal "$active"
check_back "the agent of the one that was cut off killed"

begin_crash struck
kill -9 "$(child_of "$standby" drive)"
check_back "the drive killed"
check "with a report all the same" wait_for 20 test -s "$(root "$standby")/var/lib/pptp-ha/drills/$id.json"

begin_crash struck
kill -9 "$(child_of "$active" guard)"
sleep 12
check_back "the guardian killed: the cut ends by itself"
did "the client reports" stop_load
