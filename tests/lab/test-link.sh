#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The agents' standing connections: a path each over sync, LAN and WAN; what each gateway knows of the other;
# a path that goes silent, a peer whose agent hangs, an agent that restarts, a wrong host key, a partition.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/client.sh"
. "$(dirname "$0")/pair.sh"

status_is() { # NODE FILTER
	[ "$(agent "$1" status --json | jq "$2")" = true ]
}
paths() { # NODE: which are up
	agent "$1" status --json | jq -r '[.peer.paths | to_entries[] | select(.value.up) | .key] | sort | join(" ")'
}
paths_are() { # NODE PATHS
	[ "$(paths "$1")" = "$2" ]
}
# link_pid NODE: the process that holds the lock
link_pid() {
	pgrep -f -- "--root $(root "$1") link " | head -1
}
# connections NODE: its connections to the peer's sshd, by local port
connections() {
	on "$1" ss -Htn state established dport = :2222 | awk '{print $3}' | sort | paste -sd' '
}
switch_port() { # SWITCH NODE up|down
	ip -n "${PHA_LAB_PREFIX:-pha}-$1" link set "$2" "$3"
}

need_lab
for node in gw1 gw2; do
	check "$node hears the other on every path" wait_for 15 paths_are $node "lan sync wan"
done
check "the standby knows the active" status_is gw2 \
    '.peer | .node == "gw1" and .role == "active" and .epoch >= 1 and .health == "fine"'
check "the active knows the standby" status_is gw1 \
    '.peer | .node == "gw2" and .role == "standby" and .health == "fine"'
check_eq "the link is not root" "$(ps -o user= -p "$(link_pid gw1)")" pptp-ha
check_eq "and can gain no privileges" \
    "$(awk '$1 == "NoNewPrivs:" {print $2}' "/proc/$(link_pid gw1)/status")" 1
check_eq "one connection per path" "$(connections gw1 | wc -w)" 3

# ---- an agent that restarts ----
link=$(link_pid gw2)
before=$(connections gw2)
hung=$(lab_status .nodes.gw2.processes.agent)
kill -TERM "$hung"
wait_for 3 gone "$hung"
check "without its agent the standby is silent for the other one" wait_for 5 status_is gw1 '.peer.fresh == false'
# Not by `lab heal`, which ends everything that the old agent started.
"$lab" exec gw2 hagent --node gw2 --root "$(root gw2)" run >>"$(root gw2)/var/log/agent.log" 2>&1 &
hung=$!
background+=("$hung")
check "with a new one it is heard again" wait_for 10 paths_are gw1 "lan sync wan"
check "and hears" wait_for 10 paths_are gw2 "lan sync wan"
check_eq "the link is the same process" "$(link_pid gw2)" "$link"
check_eq "its connections were not cut" "$(connections gw2)" "$before"

# ---- an agent that hangs ----
kill -STOP "$hung"
check "an agent that hangs is silent" wait_for 2 status_is gw1 '.peer.fresh == false'
check "status says so in words" wait_for 2 eval 'agent gw1 status | grep -q "the peer is silent on every path"'
kill -CONT "$hung"
check "and heard again" wait_for 10 paths_are gw1 "lan sync wan"

# ---- paths ----
switch_port sync gw2 down
check "the sync cable is cut: two paths are left" wait_for 10 paths_are gw1 "lan wan"
check "on both sides" wait_for 10 paths_are gw2 "lan wan"
check "the peer is heard all the same" status_is gw1 '.peer.fresh'
# The kernel tells of a carrier once a second at most.
check "status says so in words" wait_for 5 eval 'agent gw2 status | grep -q "the sync interface sync is down"'
check "nobody moves for it" wait_for 5 settled gw1
switch_port sync gw2 up
check "the cable is back: three paths" wait_for 15 paths_are gw1 "lan sync wan"

# ---- a wrong host key ----
known=$(root gw1)/etc/pptp-ha/known_hosts
cp "$known" "$scratch/known"
ssh-keygen -qt ed25519 -N '' -f "$scratch/key"
awk -v key="$(cut -d' ' -f1,2 "$scratch/key.pub")" '/^\[/ {print $1, key; next} {print}' "$scratch/known" >"$known"
kill "$(link_pid gw1)"
check "a link with the wrong host key hears nobody" wait_for 10 status_is gw1 \
    '.peer.fresh == false and (.peer.paths.sync.error | test("wrong host key"))'
check_match "status says so in words" "$(agent gw1 status)" 'sync *silent: wrong host key'
cp "$scratch/known" "$known"
kill "$(link_pid gw1)"
check "with the right one it does" wait_for 10 paths_are gw1 "lan sync wan"

# ---- a partition ----
fault gw1 partition
check "a partition: neither hears the other" wait_for 5 eval '
	status_is gw1 ".peer.fresh == false" && status_is gw2 ".peer.fresh == false"'
check "both serve, each on its side" wait_for 5 eval '
	status_is gw1 ".role == \"active\"" && status_is gw2 ".role == \"active\""'
"$lab" heal gw1 >/dev/null
one_active() {
	[ "$(for n in gw1 gw2; do agent $n status --json | jq -r .role; done | sort | paste -sd' ')" = "active standby" ]
}
check "they meet again: one of them yields" wait_for 15 one_active
winner=$(master)
check "and all is settled" wait_for 15 settled "$winner"
# Not above: a standby that is in step keeps the epoch that it mirrors under.
check "and the one that serves has no lower epoch" wait_for 5 eval '
	[ "$(agent '"$winner"' status --json | jq .epoch)" -ge "$(agent "$(other '"$winner"')" status --json | jq .epoch)" ]'
check_eq "as its daemon knows" "$(agent "$winner" pptpd status | jq .epoch)" "$(agent "$winner" status --json | jq .epoch)"
