#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# `hagent doctor`: a healthy pair is all ok on both nodes; of two dozen faults that are made at once on the standby,
# each is found by its own check, and when all remedies were carried out all is ok again. The doctor works with
# neither agent nor daemon. (long-doctor.sh makes each fault alone, and more of them.)
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/client.sh"
. "$(dirname "$0")/pair.sh"
. "$(dirname "$0")/doctor-faults.sh"

# These leave each other alone, and the remedy of one does not mend another.
together='forwarding off|source filter strict|a setting changed|guard flushed|PPTP tracked|conntrack helper|gate open|another table|WAN MTU|LAN covers|keepalived.conf|forced command changed|private key|secrets readable|conntrackd dead|descriptors low'

need_lab --advert 0.2 --users 0
make_tools
check "gw1 serves, gw2 stands by" wait_for 10 settled gw1
check "a healthy pair: all ok on both nodes" files_in_step
for node in gw1 gw2; do
	note "figure: doctor $node: $(jq -c '{ok,warning,problem,unknown}' "$scratch/doctor.$node"), slowest check $(jq '[.checks[].ms] | max' "$scratch/doctor.$node") ms"
done
check_match "it says so in words, too" "$(agent gw2 doctor kernel)" 'ok +ip-forward +net.ipv4.ip_forward is 1'
agent gw2 doctor nonsense >"$scratch/said" 2>&1
check_eq "a theme that does not exist: exit status" $? 2

chosen=()
for row in "${faults[@]}"; do
	IFS='|' read -r name node what make _ <<<"$row"
	[[ $node == gw2 && $name =~ ^($together) ]] || continue
	chosen+=("$row")
	"$make" gw2 >"$scratch/made" 2>&1 || not_ok "$name: the fault can be made" "$(cat "$scratch/made")"
done
doctor gw2
check_eq "with ${#chosen[@]} faults on gw2: exit status" $? 1
cp "$scratch/doctor.gw2" "$scratch/ill"
for row in "${chosen[@]}"; do
	IFS='|' read -r name node what _ _ <<<"$row"
	check_match "$name: $what finds it" "$(found gw2 "$what")" '"verdict":"(problem|warning)".*"remedy":\{'
done
for row in "${chosen[@]}"; do
	IFS='|' read -r name node what _ _ <<<"$row"
	answer=$(jq -c --arg name "$what" '.checks[] | select(.name == $name)' "$scratch/ill")
	carry_out gw2 "$answer" >"$scratch/mended" 2>&1 || not_ok "$name: its remedy can be run" "$answer" "$(tail -5 "$scratch/mended")"
done
if wait_for 15 both_well; then
	ok "all remedies carried out: all ok on both nodes"
else
	not_ok "all remedies carried out: all ok on both nodes" "gw1: $(not_well gw1)" "gw2: $(not_well gw2)"
fi
check "and nothing has moved" settled gw1

# ---- without agent and daemon ----
"$lab" stop gw2 --plain agent pptpd
doctor gw2
check_eq "neither agent nor daemon runs: it says so" "$(jq -r '[.checks[] | select(.name == "agent" or .name == "pptpd" or .name == "tunnel") | "\(.name)=\(.verdict)"] | join(" ")' "$scratch/doctor.gw2")" \
	"agent=problem pptpd=problem tunnel=problem"
