#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The lab itself: what it promises about faults, healing and cleaning up.
. "$(dirname "$0")/lib.sh"

ping_once() {
	on "$1" ping -c 1 -W 1 "$2"
}

status() {
	"$lab" status | jq -r "$1"
}

macs() {
	on gw1 ip -j link | jq -c '[.[] | [.ifname, .address]]'
}

need_lab --single --users 300
check_eq "gw1 holds the virtual address" "$(status .nodes.gw1.role)" MASTER
check_eq "gw2 does not" "$(status .nodes.gw2.role)" BACKUP
check_eq "gw1 serves" "$(status .nodes.gw1.pptpd.role)" active
check_eq "gw2 stands by" "$(status .nodes.gw2.pptpd.role)" standby
check_fails "the client has no route to the LAN" ping_once client 192.168.1.20
check_eq "any address of 198.18.0.0/15 is the client's" \
	"$(on gw1 ping -c 1 -W 1 198.19.200.7 >/dev/null && echo yes)" yes

fault gw1 partition
for address in 198.51.100.12 192.168.1.3 10.255.0.2; do
	check_fails "partition: gw1 does not reach gw2's $address" ping_once gw1 $address
done
check "partition: gw1 reaches the client" ping_once gw1 198.51.100.100
check "partition: gw2 reaches the server" ping_once gw2 192.168.1.20
"$lab" heal gw1
check "partition heals" ping_once gw1 10.255.0.2

for link in wan sync; do
	fault gw1 link-$link
	check_match "link-$link: the gateway loses its carrier" "$(on gw1 ip link show $link)" NO-CARRIER
	"$lab" heal gw1
	check "link-$link heals" wait_for 5 sh -c "$lab exec gw1 ip link show $link | grep -q LOWER_UP"
done

engine=$(status .nodes.gw1.pptpd.engine)
fault gw1 hang-pptpd
check "hang-pptpd: the monitor ends an engine that hangs" wait_for 2 gone "$engine"
note "figure: hang-pptpd, the engine is gone after $(ms_since "$moment") ms"
check_eq "hang-pptpd: no answer" "$(status .nodes.gw1.pptpd.role)" null
"$lab" heal gw1
check_eq "hang-pptpd heals" "$(status .nodes.gw1.pptpd.role)" active

engine=$(status .nodes.gw1.pptpd.engine)
fault gw1 kill-pptpd
check_eq "kill-pptpd: the monitor is gone" "$(status .nodes.gw1.pptpd.monitor)" null
check "kill-pptpd: so is the engine" gone "$engine"
"$lab" heal gw1
check_eq "kill-pptpd heals" "$(status .nodes.gw1.pptpd.role)" active

check_fails "kill-keepalived is an error while there is none" "$lab" fail gw1 kill-keepalived
check_fails "an unknown fault is an error" "$lab" fail gw1 flood
check_fails "an unknown node is an error" "$lab" fail gw3 power

before=$(macs)
on gw1 sleep 1000 &
sleeper=$!
sleep 0.2
fault gw1 power
check_eq "power: the node is dead" "$(status .nodes.gw1.role)" DEAD
wait $sleeper 2>/dev/null
check "power: what ran on the node is gone" gone $sleeper
check_fails "power: nobody holds the virtual address" ping_once client 198.51.100.10
"$lab" heal gw1
check_eq "power heals: the node serves" "$(status .nodes.gw1.pptpd.role)" active
check_eq "power heals: with the same MAC addresses" "$(macs)" "$before"
check "power heals: the virtual address answers" wait_for 5 ping_once client 198.51.100.10

on client sleep 1000 &
sleeper=$!
sleep 0.2
"$lab" down
wait $sleeper 2>/dev/null
check "down ends what exec started" gone $sleeper
check_eq "down leaves no namespace" "$(ip netns list | grep -c "^${PHA_LAB_PREFIX:-pha}-")" 0
check_eq "down leaves no run folder" "$(ls "$(root "")" 2>/dev/null)" ""

# ---- the pair ----
need_lab --advert 0.05
check_eq "keepalived made gw1 MASTER, the agent made it serve" \
    "$(status '.nodes.gw1 | "\(.role) \(.agent.role) \(.pptpd.role) \(.vip)"')" "MASTER active active true"
check_eq "gw2 is BACKUP and stands by" \
    "$(status '.nodes.gw2 | "\(.role) \(.agent.role) \(.pptpd.role) \(.vip)"')" "BACKUP standby standby false"
check_eq "each runs all its programs" "$(status '[.nodes.gw1, .nodes.gw2 | .processes | keys | join(" ")] | unique | join(",")')" \
    "agent conntrackd keepalived pptpd sshd web"
check "--advert reaches keepalived" grep -q 'advert_int 0.05' "$(root gw2)/etc/pptp-ha/keepalived.conf"
date >"$(root gw2)/run/volatile"
date >"$(root gw2)/var/lib/pptp-ha/lasting"
"$lab" fail gw2 power >/dev/null
"$lab" heal gw2
check "power: what is in run is lost" [ ! -e "$(root gw2)/run/volatile" ]
check "power: the state folder survives" [ -e "$(root gw2)/var/lib/pptp-ha/lasting" ]
check "power heals: all its programs run again" [ "$(status '.nodes.gw2.processes | length')" = 6 ]
everyone=$(ip netns pids "${PHA_LAB_PREFIX:-pha}-gw1"; ip netns pids "${PHA_LAB_PREFIX:-pha}-gw2"; status '.nodes[].processes[]')
kill -KILL "$(status .nodes.gw1.processes.agent)" "$(status .nodes.gw2.processes.sshd)" \
    "$(status .nodes.gw1.processes.keepalived)"
"$lab" down
left=
for pid in $everyone; do
	gone "$pid" || left="$left $pid"
done
check_eq "down ends every program, also after some were killed" "$left" ""
check_eq "and leaves no namespace" "$(ip netns list | grep -c "^${PHA_LAB_PREFIX:-pha}-")" 0
