#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The replica stream in trouble, for long and with many sessions: 200 that send, with sshd, agents' links and
# the stream restarted, re-keying all the time, a big file beside it, loss and delay; one fast session whose
# cable is cut; every kind of wrong frame; a node that dies in the middle of a snapshot of 1,000; a standby
# without memory; state folders that are lost. Prints what each costs. Uses the release build.
#
# PARTS = which of: strangers busy line fast snapshot memory folder (all).
export PHA_BUILD=${PHA_BUILD:-build}
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/client.sh"
. "$(dirname "$0")/pair.sh"
. "$(dirname "$0")/takeover.sh"
. "$(dirname "$0")/replica.sh"
parts=${PARTS:-strangers busy line fast snapshot memory folder}
big_mb=${BIG_MB:-1024}

comes_back() { # NODE
	"$lab" heal "$1" && wait_for 30 whole "$(master)"
}
# standby_of: of the node that serves
standby_of() {
	other "$(master)"
}
# begin SESSIONS RATE: a load and its table
begin() {
	wait_for 20 whole "$(master)"
	start_load "$1" "$2" --echo-interval 10 --lcp-echo 10
	check_eq "$1 sessions at $2 packets/s are up" "$(load_up)" "$1"
	check "the standby has a whole copy of $1" wait_for 20 whole "$(master)"
	trouble_head
}
end() {
	did "the client reports" stop_load
	wait_for 10 no_session
}

# ---- strangers ----

complaints() {
	log "$1" | grep -c 'replica stream closed reason='
}
# stranger NODE KIND: one line in the log, unless it is one that says nothing wrong
stranger() {
	local lines wanted=1 active
	active=$(master)
	lines=$(complaints "$1")
	case $2 in truncated | nothing | mute) wanted= ;; esac
	timeout 5 "$replica_py" wrong "$(root "$1")" "$2" >/dev/null || note "$2 to $1: not closed"
	wait_for 5 whole "$active" || return 1
	[ -z "$wanted" ] || [ $(($(complaints "$1") - lines)) = 1 ] || {
		note "$2 to $1: $(($(complaints "$1") - lines)) lines"
		return 1
	}
}
strangers() { # NODE KIND...
	local node=$1 kind failed=0
	shift
	for kind; do
		stranger "$node" "$kind" || failed=1
		sleep 3.5 # its lines are limited to 12 a minute, with those of the real stream
	done
	return $failed
}
part_strangers() {
	local both=(noise nothing version no-hello hello-truncated node-name hello-twice truncated length field-length
	    replayed reordered unknown mute)
	begin 50 20
	check_trouble "strangers to the active" strangers gw1 "${both[@]}" epoch-of-another equal-epoch applied-ahead \
	    applied-short session-of-standby
	check_kept "strangers to the active"
	check_trouble "strangers to the standby" strangers gw2 "${both[@]}" hello-below beat-below applied-of-active \
	    session-none connection-none marks-cut counters-cut begin-short
	check_kept "strangers to the standby"
	end
}

# ---- 200 that send ----

# family PID: it and all below it
family() {
	local child
	echo "$1"
	for child in $(ps -o pid= --ppid "$1"); do
		family "$child"
	done
}
sshd_restarts() { # NODE
	# shellcheck disable=SC2046 # a list
	kill -KILL $(family "$(lab_status ".nodes.$1.processes.sshd")")
	comes_back "$1"
}
link_pid() { # NODE
	pgrep -f -- "--root $(root "$1") link " | head -1
}
link_dies() { # NODE
	kill -KILL "$(link_pid "$1")"
	sleep 0.5
	wait_for 20 whole "$(master)"
}
agents_restart() {
	local node
	for node in gw1 gw2; do
		kill -TERM "$(lab_status ".nodes.$node.processes.agent")"
		sleep 0.3
		"$lab" heal "$node" && wait_for 20 whole "$(master)" || return 1
	done
}
keepalived_restarts() {
	local node
	node=$(standby_of)
	fault "$node" kill-keepalived
	comes_back "$node"
}
daemon_restarts() {
	local node
	node=$(standby_of)
	kill -TERM "$(lab_status ".nodes.$node.pptpd.monitor")"
	sleep 0.5
	comes_back "$node"
}
standby_loses_power() {
	local active
	active=$(master)
	fault "$(other "$active")" power
	wait_for 3 is_state "$active" silent && has_marker "$active" && sleep 2 && comes_back "$(other "$active")"
}
# cable_is_cut [SECONDS]
cable_is_cut() {
	fault "$(standby_of)" link-sync
	sleep "${1:-3}"
	wait_for 10 whole "$(master)" && "$lab" heal "$(standby_of)" && sleep 8 && whole "$(master)"
}
rekeys() {
	local node
	for node in gw1 gw2; do
		printf 'RekeyLimit 1M\n' >>"$(root $node)/etc/pptp-ha/sshd_config"
		sshd_restarts $node || return 1
	done
	sleep 20
}
# big_rsync: a big file with rsync, beside the stream, over the sync cable
big_rsync() {
	local from to pid rc
	from=$(standby_of)
	to=$(master)
	mkdir -p "$scratch/big" "$scratch/taken"
	[ -e "$scratch/big/file" ] || head -c "${big_mb}M" /dev/urandom >"$scratch/big/file"
	printf 'use chroot = no\nuid = 0\ngid = 0\n[taken]\npath = %s\nread only = no\n' "$scratch/taken" >"$scratch/rsyncd.conf"
	on "$to" rsync --daemon --no-detach --config="$scratch/rsyncd.conf" --port=7777 &
	pid=$!
	background+=("$pid")
	sleep 0.3
	moment=$EPOCHREALTIME
	on "$from" timeout 300 rsync --whole-file "$scratch/big/file" "rsync://$(sync_address "$to"):7777/taken/"
	rc=$?
	note "figure: rsync of $big_mb MB in $(ms_since "$moment") ms, $(stat -c %s "$scratch/taken/file") bytes there"
	kill -TERM "$pid"
	rm -f "$scratch/taken/file"
	return $rc
}
sync_address() {
	on "$1" ip -o -4 addr show dev sync | awk '{ sub("/.*", "", $4); print $4; exit }'
}
# bad_line: the sync switch carries frames by a program that delays and loses them
bad_line() {
	local switch=${PHA_LAB_PREFIX:-pha}-sync node pid
	for node in gw1 gw2; do
		on $node ethtool -K sync tx off gso off tso off gro off >/dev/null
		ip -n "$switch" link set $node nomaster
	done
	ip netns exec "$switch" "$top/tests/lab/impair.py" gw1 gw2 >"$scratch/impair" &
	pid=$!
	background+=("$pid")
	note "figure: round trip on the bad line: $(on gw1 ping -q -c 20 -i 0.05 "$(sync_address gw2)" | tail -n 2 | paste -sd' ' -)"
	sleep "${1:-20}"
	kill -TERM "$pid"
	wait "$pid"
	note "figure: the line: $(tail -n 1 "$scratch/impair")"
	for node in gw1 gw2; do
		ip -n "$switch" link set $node master br0
	done
	wait_for 10 whole "$(master)"
}
part_busy() {
	local what
	begin 200 50
	for what in standby_loses_power cable_is_cut daemon_restarts keepalived_restarts agents_restart \
	    "sshd_restarts gw1" "sshd_restarts gw2" "link_dies gw2" "link_dies gw1" big_rsync rekeys; do
		# shellcheck disable=SC2086 # words
		check_trouble "${what//_/ }" $what
		settled gw1 || note "who serves has changed: $(role gw1), $(role gw2)"
		check_kept "${what//_/ }"
	done
	check_eq "every class of keys is open after all of it" "$(classes "$(master)")" "all:200"
	table_head
	check_takeover power 300
	check_takeover kill-pptpd 1000
	end
}

part_line() {
	begin 200 50
	check_trouble "1 % loss, 20 ms delay on sync" bad_line
	check_kept "1 % loss, 20 ms delay on sync"
	check_eq "every class of keys is open after it" "$(classes "$(master)")" "all:200"
	end
}

# ---- a fast one ----

part_fast() {
	local rate
	for rate in 2000 8000; do
		begin 1 $rate
		check_trouble "$rate/s: nothing" sleep 3
		check_trouble "$rate/s: cable is cut" cable_is_cut
		check_trouble "$rate/s: standby loses its power" standby_loses_power
		check_trouble "$rate/s: daemon restarts" daemon_restarts
		note "figure: journal: $(agent "$(master)" journal 2>/dev/null | grep -E 'solo|stale|silent|alone' | tail -n 5 | paste -sd';' -)"
		end
	done
}

# ---- a snapshot that does not end ----

# in_snapshot NODE METHOD: breaks it while the snapshot of a fresh stream is under way
in_snapshot() {
	local active
	active=$(master)
	"$replica_py" wrong "$(root "$active")" noise >/dev/null
	syncing "$active" && fault "$1" "$2"
}
# syncing NODE: waits for it, for 10 s at most. Not by status, which takes too long: the log tells at once.
syncing() {
	local end=$((SECONDS + 10))
	until [[ $(log "$1" | grep 'replica state=' | tail -n 1) == *state=syncing* ]]; do
		[ $SECONDS -lt $end ] || return 1
	done
}
standby_dies_in_snapshot() { # METHOD
	in_snapshot "$(standby_of)" "$1"
	sleep 1
	comes_back "$(standby_of)"
}
active_dies_in_snapshot() { # METHOD
	local active
	active=$(master)
	in_snapshot "$active" "$1"
	wait_for 20 is_role "$(other "$active")" "MASTER active vip" && sleep 3
}
part_snapshot() {
	local victim
	begin 1000 5
	check_trouble "standby loses power in it" standby_dies_in_snapshot power
	check_kept "standby loses power in it"
	check_trouble "standby's daemon dies in it" standby_dies_in_snapshot kill-pptpd
	check_kept "standby's daemon dies in it"
	victim=$(master)
	check_trouble "the active loses power in it" active_dies_in_snapshot power
	check "it comes back" comes_back "$victim"
	# A copy that was never whole: the standby began anew just before.
	fault "$(standby_of)" kill-pptpd
	victim=$(master)
	did "the active dies in the first snapshot" trouble "it dies in the first" active_dies_first
	note "figure: what the standby had: $(log "$(master)" | grep 'takeover epoch' | tail -n 1 | sed 's/.*takeover //')"
	check_eq "every session goes on or its client has learned" "$(w '.up + .lost >= 1000')" true
	check "it comes back" comes_back "$victim"
	end
}
# active_dies_first: while the standby, started anew, takes its first snapshot; not by `lab fail`, which would
# wait for `lab heal`
active_dies_first() {
	local active standby engine monitor
	active=$(master)
	standby=$(other "$active")
	monitor=$(lab_status ".nodes.$active.pptpd.monitor")
	engine=$(lab_status ".nodes.$active.pptpd.engine")
	"$lab" heal "$standby" &
	syncing "$active" && kill -STOP "$monitor" "$engine" && kill -KILL "$monitor" "$engine"
	wait $!
	wait_for 20 is_role "$standby" "MASTER active vip" && sleep 12
}

# ---- a standby without memory ----

# limit NODE BYTES: of its engine's address space; as its own user, who may lower the limit and put it back
limit() {
	local pid
	pid=$(lab_status ".nodes.$1.pptpd.engine")
	setpriv --reuid="$(awk '$1 == "Uid:" { print $2 }' "/proc/$pid/status")" --clear-groups \
	    --regid="$(awk '$1 == "Gid:" { print $2 }' "/proc/$pid/status")" prlimit --pid "$pid" --as="$2:unlimited"
}
part_memory() {
	local pid size
	wait_for 20 whole gw1
	pid=$(lab_status .nodes.gw2.pptpd.engine)
	size=$(($(awk '$1 == "VmSize:" { print $2 }' "/proc/$pid/status") * 1024))
	did "the standby has no more memory than now" limit gw2 $size
	start_load 1000 5 --echo-interval 10 --lcp-echo 10
	check_eq "1000 sessions are up" "$(load_up)" 1000
	trouble_head
	check_trouble "no memory" sleep 5
	check_kept "no memory"
	check_match "the standby's log says so" "$(log gw2)" 'no memory for the copy'
	check_eq "it does not say that it is in step" "$(rep gw2 .in_step)" false
	check_match "the active's log says so" "$(log gw1)" 'the standby has no memory for its copy'
	check_match "hagent status says so" "$(agent gw1 status)" '(out of memory|at risk)'
	note "$(agent gw1 status | grep -E 'replica|risk|memory' | paste -sd';' -)" "$(agent gw2 status | grep -E 'replica|memory|copy' | paste -sd';' -)"
	check_eq "the active knows who is at risk" "$(rep gw1 .at_risk)" 1000
	did "it has again" limit gw2 unlimited
	check "with memory it is in step by itself" wait_for 20 whole gw1
	table_head
	check_takeover power 1000
	end
}

# ---- state folders ----

# returns_without_folder NODE
returns_without_folder() {
	fault "$1" power
	wait_for 10 is_role "$(other "$1")" "MASTER active vip"
	sleep 1
	rm -rf "$(root "$1")/var/lib/pptp-ha"
	comes_back "$1"
}
part_folder() {
	local active
	begin 50 20
	active=$(master)
	check_trouble "the active returns without its folder" returns_without_folder "$active"
	check_eq "its class is closed" "$(classes "$(master)")" "odd:50"
	table_head
	check_takeover power 1000
	trouble_head
	# No key is left to anybody then: each session gets new ones.
	did "the standby returns without its folder" trouble "and so does the standby" returns_without_folder "$(standby_of)"
	check_eq "every session has been re-keyed" "$(rep "$(master)" '"\(.rekeyed) \(.rekeying) \(.dropped)"')" "50 0 0"
	check_eq "all are up, and none had to dial" "$(w '"\(.up) \(.lost) \(.redials)"')" "50 0 0"
	check_eq "every class of keys is open again" "$(classes "$(master)")" "all:50"
	end
}

build_tools
need_lab --advert "${ADVERT:-0.02}" --users 1200
for part in $parts; do
	note "---- $part"
	"part_$part"
	[ "$(master)" = gw1 ] && whole gw1 || { "$lab" down >/dev/null; need_lab --advert "${ADVERT:-0.02}" --users 1200; }
done
