# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the scripts about planned moves share; comes after lib.sh, client.sh, pair.sh and takeover.sh.
#
# planned NAME SERVER COMMAND... is one planned thing under load: a mark, the command, SERVER (`any`: one of them)
# serves, the pair is $until (whole), the window ends. Its figures go to $window, to one line of the table, and to
# $results. What both gateways counted as dropped meanwhile is in $counted, so that a packet that is missing has a
# name.
# shellcheck shell=bash
# Seconds of quiet load before the command, and after the pair is whole again.
before_move_s=${BEFORE_MOVE_S:-0.3}
after_move_s=${AFTER_MOVE_S:-1}
until=whole

# counters: of both gateways, `node.name value` lines: what was dropped by them, and handed on
counters() {
	local node
	for node in gw1 gw2; do
		{ agent $node pptpd status 2>/dev/null || echo '{}'; } | jq -r --arg n $node '
		    ((.data.drops // {}) + (.replica.handover // {} | {relayed, injected, dropped} | map_values(. // 0)))
		    | to_entries[] | "\($n).\(.key) \(.value)"'
		# What the kernel had no room for, before the daemon saw it.
		on $node ip -j -s link show pppha0 2>/dev/null | jq -r --arg n $node '"\($n).tun_full \(.[0].stats64.tx.dropped)"'
		on $node cat /proc/net/raw 2>/dev/null | awk -v n=$node 'FNR > 1 { sum += $NF } END { print n ".gre_full", sum + 0 }'
		on $node nft -j list counters 2>/dev/null | jq -r --arg n $node '
		    .nftables[].counter | select(.) | select(.name | test("^(drop|told|guard)_")) | "\($n).\(.name) \(.packets)"'
	done
}
# counted_since FILE: what has grown since `counters >FILE`, e.g. "gw1.relayed+20 gw2.injected+20"
counted_since() {
	counters | awk 'NR == FNR { old[$1] = $2; next } { d = $2 - old[$1] } d > 0 { printf "%s%s+%d", sep, $1, d; sep = " " }' "$1" -
}

moves_head() {
	printf '# %-34s %-3s %5s  %-31s %5s %5s %8s %7s  %s\n' planned on up "gap ms min/median/p99/max" lost again packets \
	    missing counted
}
# planned NAME SERVER COMMAND...: fails if the command fails, or the pair does not come through
planned() {
	local name=$1 server=$2 failed=0
	shift 2
	counters >"$scratch/counters"
	load_say "mark planned" && load_answer mark || return 1
	sleep "$before_move_s"
	moment=$EPOCHREALTIME
	if ! "$@" >"$scratch/planned" 2>&1; then
		note "$name: $* failed: $(tail -n 5 "$scratch/planned")"
		failed=1
	fi
	took_ms=$(ms_since "$moment")
	if [ "$server" = any ]; then
		wait_for 30 someone_whole
		server=$(master)
	fi
	if ! wait_for 30 "$until" "$server"; then
		note "$name: gw1 $(role gw1), gw2 $(role gw2), in step: $(in_step "$server" && echo yes || echo no)"
		failed=1
	fi
	sleep "$after_move_s"
	load_say window && load_answer window || return 1
	window=$answer
	counted=$(counted_since "$scratch/counters")
	jq -c --arg fault "$name" --arg moment "$moment" --arg counted "$counted" \
	    '{fault: $fault, moment: $moment | tonumber, counted: $counted} + .' <<<"$window" >>"$results"
	jq -r --arg name "$name" --arg on "$server" --arg counted "$counted" '
	    def n: if . == null then "-" else . * 10 | round / 10 | tostring end;
	    [$name, $on, .up, ([.gap_ms.min, .gap_ms.median, .gap_ms.p99, .gap_ms.max] | map(n) | join("/")), .lost,
	     .redials, .packets_sent, .packets_lost, $counted] | @tsv' <<<"$window" |
	    while IFS=$'\t' read -r -a v; do
		printf '# %-34s %-3s %5s  %-31s %5s %5s %8s %7s  %s\n' "${v[@]}"
	    done
	return $failed
}
someone_whole() {
	whole "$(master)"
}
# alone_in_step NODE: it serves, the other one has a whole copy and is kept away
alone_in_step() {
	is_role "$1" "MASTER active vip" && is_role "$(other "$1")" "FAULT standby no vip" && in_step "$1"
}
# check_planned NAME SERVER COMMAND...: and no session is lost
check_planned() {
	local name=$1
	did "$name: as it should" planned "$@"
	check_eq "$name: no session of $load_sessions is lost" "$(w '"\(.up) up, \(.lost) lost, \(.redials) redials"')" \
	    "$load_sessions up, 0 lost, 0 redials"
	[ "$(w .lost)" = 0 ] || note "lost: $(w '.losses | tojson')"
}
# counted_sum: of the last planned thing, all packets that a counter of a drop has
counted_sum() {
	tr ' ' '\n' <<<"$counted" | awk -F+ '!/[.](relayed|injected|guard_)/ { sum += $2 } END { print sum + 0 }'
}
# last_move NODE: the journal's last planned move, as JSON
last_move() {
	agent "$1" journal --json --limit 200 2>/dev/null | jq -cs '[.[] | if type == "array" then .[] else . end
	    | select(.kind == "move")] | last // {}'
}
