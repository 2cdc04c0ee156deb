# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the scripts about drills share; comes after lib.sh, client.sh, pair.sh and takeover.sh.
#
# drilled NAME [NODE [OPTIONS of drill run]] is one drill under load, asked for at NODE (default: the standby): the
# client's own figures of the same time go to $window, the report to $drill, what the command said to $said. check_drill
# does so, and compares the two: counts exactly, gaps within 10 ms.
# shellcheck shell=bash
# Every one of them is as quick as it may be.
drills_conf() {
	local kind
	for kind in planned crash link daemon load; do
		printf 'drill q-%s { kind = %s outage-s = 3 before-s = 1 after-s = %s max-gap-ms = 5000 max-detection-ms = 3000 %s }\n' \
		    $kind $kind "${AFTER_DRILL_S:-2}" "${1:-}"
	done
	echo 'drill q-black { schedule = daily blackout = { "00:00-24:00" } }'
}
# d FILTER: a value of the report
d() {
	jq -r "$1" <<<"$drill"
}
drilled() {
	local name=$1 active node
	active=$(master)
	node=${2:-$(other "$active")}
	shift $(($# > 1 ? 2 : 1))
	if ! wait_for 30 whole "$active"; then
		note "$name: the pair is not whole before: gw1 $(role gw1), gw2 $(role gw2)"
		return 1
	fi
	load_say "mark $name" && load_answer mark || return 1
	drill=$(agent "$node" drill run --json "$@" "$name" 2>"$scratch/drill.err")
	drill_status=$?
	said=$(cat "$scratch/drill.err")
	load_say window && load_answer window 60 || return 1
	window=$answer
	[ -n "$drill" ] || note "$name: $said"
	[ -n "$drill" ]
}
# near A B: numbers that are not more than 10 ms apart
near() {
	awk -v a="$1" -v b="$2" 'BEGIN { exit !(a != "null" && b != "null" && a - b <= 10 && b - a <= 10) }'
}
# watched: the client's longest gap began while the gateways watched. Around that it has others: its own lateness, say,
# and what is left of a planned move is no longer than those.
watched() {
	local from to
	from=$(d '(.at | sub("[.][0-9]+Z$"; "Z") | fromdateiso8601) + (.at | capture("[.](?<f>[0-9]+)Z$").f | tonumber / 1000)
	    + ([.phases[] | select(.name == "check" or .name == "join") | .ms] | add / 1000)')
	to=$(d '[.phases[] | select(.name | IN("before", "strike", "take", "after", "heal")) | .ms] | add / 1000')
	jq -e --argjson from "$from" --argjson to "$to" \
	    '(.opened + .worst[0].from_ms / 1000) as $t | $t >= $from and $t <= $from + $to' <<<"$window" >/dev/null
}
# agrees: the report and the client
check_agrees() {
	local name=$1 q
	check_eq "$name: the report counts the client's sessions" \
	    "$(d '.sessions | "\(.before) before, \(.survived) survived, \(.redialled) redialled, \(.lost) lost"')" \
	    "$(w '"\(.up) before, \(.survivors) survived, \(.redials) redialled, \(.lost) lost"')"
	for q in min median p99 max; do
		check "$name: $q of the gaps is the client's within 10 ms ($(d ".gap_ms.$q") and $(w ".gap_ms.$q"))" \
		    near "$(d ".gap_ms.$q")" "$(w ".gap_ms.$q")"
	done
	note "figure: drill $name: gap ms $(d '.gap_ms | "\(.min)/\(.median)/\(.p99)/\(.max)"'), client $(w '.gap_ms | "\(.min)/\(.median)/\(.p99)/\(.max)"'); packets lost $(d .packets.lost), client $(w .packets_lost); noticed $(d .detection_ms) ms, clocks $(d '.clock | "\(.difference_us) +- \(.uncertainty_us) us"')"
}
check_drill() {
	did "drill $1" drilled "$@"
	check_eq "drill $1 passes" "$(d .verdict)" passed || true
	[ "$(d .verdict)" = passed ] || note "$(d '.why, (.phases[] | "\(.name) \(.result) \(.text)")')"
	check_agrees "$1"
}
# on_both: the newest report lies on both gateways, and is the same
on_both() {
	cmp "$(root gw1)/var/lib/pptp-ha/drills/$1.json" "$(root gw2)/var/lib/pptp-ha/drills/$1.json"
}
no_table() {
	! on "$1" nft list tables | grep -q pptp_ha_drill
}
# no_guardian NODE: none is at work
no_guardian() {
	flock -n "$(root "$1")/run/pptp-ha/drill-guard.lock" true
}
# check_back NAME: whatever was tried, the pair is whole, nothing is left of it, and no session is gone
check_back() {
	check "$1: the pair is whole" wait_for 40 someone_is_whole
	check "$1: nothing is left behind" wait_for 15 nothing_left
	load_say window && load_answer window 60
	window=$answer
	check_eq "$1: no session is lost" "$(w '"\(.lost) lost, \(.redials) redials"')" "0 lost, 0 redials"
}
someone_is_whole() {
	whole "$(master)"
}
nothing_left() {
	no_table gw1 && no_table gw2 && no_guardian gw1 && no_guardian gw2
}
