#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The deep check: it runs, harms nobody and is counted nowhere; a data plane that no longer decrypts is
# noticed, and the pair moves by itself; `hagent check` answers in time while the daemon hangs and while the
# disk is full.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/client.sh"
. "$(dirname "$0")/pair.sh"
stop_thread=$top/tests/lab/stop-thread.py

# deep NODE FILTER: what the agent says of its check
deep() {
	field "$(agent "$1" status --json)" ".. | .deep? | objects | $2" | head -n 1
}
is_fine() {
	[ "$(deep "$1" .state)" = fine ] && [ "$(deep "$1" .workers)" = 2 ]
}
is_dead() {
	agent "$1" status --json | jq -e '[.. | .problems? // empty | .[] | .code] | index("deep-check")' >/dev/null
}
engine() {
	lab_status ".nodes.$1.pptpd.engine"
}

# time_checks NODE: in $statuses, $median and $worst
time_checks() {
	local words
	read -ra words < <(timed_checks "$1")
	median=${words[-2]:-9999} worst=${words[-1]:-9999} statuses=${words[*]:0:${#words[@]}-2}
}

need_lab --users 20
build_client
check "gw1 serves, gw2 stands by" settled gw1
start_client "${any_user[@]}" --sessions 10 --ping $api --count 1000000 --rate 20

# ---- it runs ----
check "every worker answers" wait_for 10 is_fine gw1
check_eq "a standby has nothing to check" "$(deep gw2 .state)" ""
child=$(pgrep -P "$(lab_status .nodes.gw1.processes.agent)" -f 'deep-check' | head -n 1)
check_eq "its process is nobody's root" "$(ps -o user= -p "${child:-0}")" pptp-ha
check_eq "it may open raw sockets, and nothing else" \
    "$(sed -n 's/^CapEff:[^0-9a-f]*//p' "/proc/${child:-0}/status")" 0000000000002000
check "ten sessions of clients" wait_for 5 sessions gw1 10
check_eq "its own are in no list" "$(agent gw1 pptpd sessions | jq -r '[.sessions[].peer] | unique | join(" ")')" \
    198.51.100.100
check_eq "nor in the copy" "$(agent gw2 pptpd status | jq .replica.sessions)" 10
check_eq "nor in conntrack" "$(on gw1 conntrack -L 2>/dev/null | grep -cE '127\.0\.0\.|192\.0\.0\.')" 0

# ---- it is no hindrance ----
check "a planned move" agent gw1 switchover
check "gw2 serves" wait_for 5 settled gw2
check "every worker of the other one answers" wait_for 10 is_fine gw2
check "and all clients are there" sessions gw2 10

# ---- a worker that hangs ----
exec 7< <(exec "$stop_thread" "$(engine gw2)" data1)
stopper=$!
background+=("$stopper")
read -r moment <&7
check "a worker hangs: it is noticed" wait_for 10 is_dead gw2
noticed=$(ms_since "$moment")
check "and the other gateway serves" wait_for 10 is_role gw1 "MASTER active vip"
moved=$(ms_since "$moment")
check "it was noticed within 5 s" [ "$noticed" -le 5000 ]
note "figure: a worker hangs: noticed after $noticed ms, the other gateway serves after $moved ms"
check "all clients are there" wait_for 5 sessions gw1 10
check_match "the one that was left says what is wrong, and what to do" "$(agent gw2 status 2>&1)" \
    "pptpd's worker 1 .*restart pptpd"
kill "$stopper"
check "it is dead until its daemon is another one" is_dead gw2
"$lab" restart gw2 --plain pptpd >/dev/null
not_dead() {
	! is_dead "$1"
}
check "restarted, it is well" wait_for 10 not_dead gw2
stop_client
check_eq "no session was lost in all of this" "$(r '"\(.connected) \(.lost) \(.redials)"')" "10 0 0"
note "figure: gaps of the ten sessions: median $(r .traffic.gap_ms.median) ms, longest $(r .traffic.gap_ms.max) ms"

# ---- hagent check ----
check "gw1 serves still" wait_for 5 settled gw1
pids=$(lab_status '.nodes.gw1.pptpd | "\(.monitor) \(.engine)"')
# shellcheck disable=SC2086
kill -STOP $pids
time_checks gw1
check "hagent check while pptpd hangs: within 100 ms" [ "$median" -le 100 ]
note "figure: hagent check, pptpd hung: statuses $statuses, median $median ms, slowest of 10 $worst ms"
check "the other gateway serves meanwhile" wait_for 10 is_role gw2 "MASTER active vip"
# shellcheck disable=SC2086
kill -CONT $pids

state=$(root gw2)/var/lib/pptp-ha
cp -a "$state" "$scratch/state"
mount -t tmpfs -o size=24m tmpfs "$state"
cp -a "$scratch/state/." "$state"
"$lab" restart gw2 --plain agent >/dev/null
head -c 30M /dev/zero >"$state/full" 2>/dev/null
check_eq "the disk is full" "$(df --output=avail "$state" | tail -n 1 | tr -d ' ')" 0
check "the agent says so" wait_for 10 bash -c '"$@" | grep -q "left for the state folder"' - \
    "$lab" exec gw2 hagent --node gw2 --root "$(root gw2)" status
time_checks gw2
check "hagent check while the disk is full: within 100 ms" [ "$median" -le 100 ]
note "figure: hagent check, disk full: statuses $statuses, median $median ms, slowest of 10 $worst ms"
rm "$state/full"
umount -l "$state"
