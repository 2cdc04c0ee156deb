#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Planned moves for long: 20 switchovers in a row with 200 sessions that send, and a real client (pppd, kernel
# MPPE) with a stream over TCP, compared with as long a stretch without a move; a restart of every daemon on
# either gateway; an upgrade from an older build to this one and back, one gateway after the other. No session
# may be lost, and what packets are missing a counter names. Uses the release build.
#
# PARTS = which of: switchovers restarts upgrade (all). RUNS = switchovers (20). LOAD = SESSIONS:RATE (200:50).
# ADVERT = seconds (0.02). REAL= (empty) leaves the real client out.
# OLD = a build folder of the older version; without it the commit OLD_COMMIT is built in a scratch folder.
export PHA_BUILD=${PHA_BUILD:-build}
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/client.sh"
. "$(dirname "$0")/pair.sh"
. "$(dirname "$0")/takeover.sh"
. "$(dirname "$0")/replica.sh"
. "$(dirname "$0")/moves.sh"
parts=${PARTS:-switchovers restarts upgrade}
runs=${RUNS:-20}
crowd=${LOAD:-200:50}
real=${REAL-1}
# The last one whose gateways speak version 1 of the stream.
old_commit=${OLD_COMMIT:-ce892cc}

# begin: a fresh lab with OPTIONS, and the load
begin() {
	need_lab --advert "${ADVERT:-0.02}" --users 300 "$@"
	start_load "${crowd%:*}" "${crowd#*:}" --echo-interval 10 --lcp-echo 10
	check_eq "${crowd%:*} sessions at ${crowd#*:} packets/s are up" "$(load_up)" "${crowd%:*}"
	check "the standby has a whole copy" wait_for 20 whole gw1
}
end() {
	did "the client reports" stop_load
	note "figure: $(r '"\(.traffic.ping.sent) packets sent, \(.traffic.ping.lost) lost; longest gap ms \(.traffic.gap_ms.max)"')"
	"$lab" down >/dev/null
}

# ---- switchovers ----

switchover() {
	agent "$1" switchover
}
# nothing_happens: as long as a switchover takes
nothing_happens() {
	sleep 0.2
}
part_switchovers() {
	local run from who sums=() gaps=() medians=() lost=0 missing=0 unnamed=0 quiet=0 stream_gaps=()
	begin
	if [ -n "$real" ]; then
		check "a real client starts" "$realclient" start
		check_eq "pppd connects" "$(field "$("$realclient" connect)" .ok)" true
		did "it echoes a stream over TCP" start_stream
		who=$(identity)
	fi
	start_capture
	wait_for 10 whole gw1
	moves_head
	for run in $(seq "$runs"); do
		planned "without, $run" gw1 nothing_happens || lost=$((lost + 1))
		quiet=$((quiet + $(w .packets_lost)))
	done
	note "figure: $runs windows without a move: $quiet packets missing"
	for run in $(seq "$runs"); do
		from=$(master)
		[ -z "$real" ] || stream_say mark mark
		did "switchover $run" planned "switchover $run" "$(other "$from")" switchover "$from" || break
		lost=$((lost + $(w '.lost + .redials')))
		missing=$((missing + $(w .packets_lost)))
		[ "$(w .packets_lost)" -le "$(counted_sum)" ] || unnamed=$((unnamed + 1))
		medians+=("$(w '.beyond_ms.median')")
		gaps+=("$(w '.gap_ms.max')")
		sums+=("$took_ms")
		[ -z "$real" ] || { stream_say figures figures && stream_gaps+=("$(field "$answer" .gap_ms)"); }
	done
	note "figure: $runs switchovers, min/median/max ms: the command $(spread "${sums[@]}"), median gap beyond the interval $(spread "${medians[@]}"), longest gap $(spread "${gaps[@]}")"
	check_eq "$runs switchovers: sessions lost or dialled again" "$lost" 0
	check "no more packets are missing ($missing) than without a move ($quiet)" [ "$missing" -le "$quiet" ]
	check_eq "switchovers with packets missing that no counter names" "$unnamed" 0
	check "the median gap is at most 20 ms beyond the interval" \
	    awk -v m="$(spread "${medians[@]}" | cut -d/ -f2)" 'BEGIN { exit !(m <= 20) }'
	check_eq "every class of keys is open" "$(classes "$(master)" | sed 's/:.*//')" all
	if [ -n "$real" ]; then
		note "figure: the real client's stream, gap min/median/max ms: $(spread "${stream_gaps[@]}")"
		check_eq "the same pppd, pptp and ppp unit" "$(identity)" "$who"
		check_eq "its TCP connection goes on" "$(field "$answer" '"\(.connections) \(.alive) \(.answering)"')" "1 true true"
		stop_stream
		"$realclient" disconnect >/dev/null
	fi
	did "the capture lost nothing" stop_capture
	did "the client reports" stop_load
	# The real client's calls are in no key log.
	"$key_check" --keylog "$keylog" --gateway gw1="${mac[gw1]}" --gateway gw2="${mac[gw2]}" "$capture" >"$scratch/keycheck.json"
	note "figure: key-check: $(jq -c 'del(.examples)' "$scratch/keycheck.json")"
	check_eq "no key and no number for two frames, no end of a live call" "$(jq -c .faults "$scratch/keycheck.json")" \
	    '{"key_reused":0,"number_reused":0,"backward":0,"unreadable":0,"closed":0,"unreachable":0,"cut":0}'
	# The next key may be of the other gateway's class.
	check_eq "no number is left out, and one key at most" \
	    "$(jq -c '[([.takeovers[].numbers_jumped] | max), ([.takeovers[].keys_jumped] | max | . <= 1)]' "$scratch/keycheck.json")" '[0,true]'
	"$lab" down >/dev/null
}

# ---- restarts ----

part_restarts() {
	local active name on node expected
	begin
	moves_head
	for name in pptpd agent keepalived conntrackd sshd; do
		for on in standby active; do
			active=$(master)
			node=$active
			expected=$active
			[ $on = active ] || node=$(other "$active")
			# Who stops what serves has moved first.
			case $on/$name in active/pptpd | active/keepalived) expected=$(other "$active") ;; esac
			[ $on/$name != active/agent ] || expected=any
			check_planned "$name on the $on" "$expected" "$lab" restart "$node" "$name"
		done
	done
	check_eq "every class of keys is open" "$(classes "$(master)")" "all:$load_sessions"
	end
}

# ---- upgrade ----

# build_old: in $old
build_old() {
	old=${OLD:-}
	[ -z "$old" ] || return 0
	old=$scratch/old/build
	mkdir "$scratch/old" && chmod 711 "$scratch" && chmod 755 "$scratch/old" &&
	    git -C "$top" archive "$old_commit" | tar x -C "$scratch/old" &&
	    cmake -S "$scratch/old" --preset release -B "$old" >"$scratch/old.log" 2>&1 &&
	    cmake --build "$old" --target pptpd hagent >>"$scratch/old.log" 2>&1 || {
		tail -n 20 "$scratch/old.log" | sed 's/^/#   /'
		return 1
	}
}
upgrade() { # NODE FOLDER
	"$lab" upgrade "$1" "$2"
}
# rolls NAME FOLDER: the standby first, then the active, which gives its sessions away as it stops
rolls() {
	local active
	active=$(master)
	check_planned "$1, the standby" "$active" upgrade "$(other "$active")" "$2"
	check_planned "$1, the active" "$(other "$active")" upgrade "$active" "$2"
	note "figure: $1: $(agent gw1 --version) on gw1, $(agent gw2 --version) on gw2; the stream speaks version $(rep "$(master)" '.version // 1')"
}
part_upgrade() {
	local active
	did "the older version builds" build_old || return
	# What both versions understand.
	begin --build "$old" --conf 'health { moves-per-10-minutes = 100 }'
	moves_head
	rolls "old to new" "$build"
	active=$(master)
	check_planned "switchover of the new" "$(other "$active")" switchover "$active"
	rolls "new to old" "$old"
	active=$(master)
	check_planned "and the old takes over" "$(other "$active")" "$lab" restart "$active" --plain keepalived
	check_eq "every class of keys is open" "$(classes "$(master)")" "all:$load_sessions"
	end
}

build_tools
for part in $parts; do
	note "---- $part"
	"part_$part"
done
