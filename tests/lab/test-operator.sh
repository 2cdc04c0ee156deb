#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What an operator does and sees: privileges, check and print, reload, kick, promote and demote, stop.
. "$(dirname "$0")/lib.sh"

sessions() {
	field "$(agent gw1 pptpd status)" .sessions
}
has_sessions() {
	[ "$(sessions)" = "$1" ]
}
# proc WHICH FIELD: of the monitor or the engine
proc() {
	awk -v f="$2:" '$1 == f {print $2}' "/proc/$(field "$("$lab" status)" ".nodes.gw1.pptpd.$1")/status"
}
pings() {
	field "$("$realclient" ping 192.168.1.20 --count "$1")" .received
}

need_lab --single
etc=$(root gw1)/etc
pptpd="$build/pptpd/pptpd --node gw1 --root $(root gw1)"

# ---- privileges ----
check_eq "the engine's user is not root" "$(proc engine Uid | grep -c '^0$')" 0
for set in CapInh CapPrm CapEff CapBnd CapAmb; do
	check_eq "the engine's $set is empty" "$(proc engine $set)" 0000000000000000
done
check_eq "the engine runs under seccomp" "$(proc engine Seccomp)" 2
check_eq "the engine can gain no privileges" "$(proc engine NoNewPrivs)" 1
# CAP_KILL 5, CAP_NET_ADMIN 12, CAP_NET_RAW 13
check_eq "the monitor has CAP_KILL, CAP_NET_ADMIN, CAP_NET_RAW" "$(proc monitor CapEff)" 0000000000003020
check_eq "the monitor can get no other" "$(proc monitor CapBnd)" 0000000000003020
check_eq "the control socket is root's and its group's" \
    "$(stat -c '%a %U' "$(root gw1)/run/pptp-ha/pptpd.sock")" "660 root"
check_eq "argv tells keepalived the node" \
    "$(tr '\0' ' ' <"/proc/$(field "$("$lab" status)" .nodes.gw1.pptpd.engine)/cmdline" | grep -o 'engine gw1')" "engine gw1"

# ---- check and print ----
check "-n accepts the lab's files" $pptpd -n
$pptpd -p 2>/dev/null | sed '/^# .*options/,$d' >"$scratch/main.1"
cp "$etc/pptpd.conf" "$scratch/kept"
cp "$scratch/main.1" "$etc/pptpd.conf"
$pptpd -p 2>/dev/null | sed '/^# .*options/,$d' >"$scratch/main.2"
check "what -p prints is understood as the same" cmp "$scratch/main.1" "$scratch/main.2"
sed 's/^remoteip .*/remoteip 10.8.0.300/' "$scratch/kept" >"$etc/pptpd.conf"
check_match "-n names file, line, directive, value and what is wanted" "$($pptpd -n 2>&1)" \
    'pptpd.conf:[0-9]+: remoteip: got "10.8.0.300", want '
check_fails "-n fails" $pptpd -n
check_fails "a reload of it is refused" agent gw1 pptpd reload
check_match "and logged" "$(log gw1)" 'pptpd.conf:[0-9]+: remoteip: got "10.8.0.300"'
cp "$scratch/kept" "$etc/pptpd.conf"

# ---- reload under a session ----
"$realclient" start >/dev/null
check_eq "a client connects" "$("$realclient" connect | jq -r .ok)" true
printf '"late user" pptpd "late secret" *\n' >>"$etc/ppp/chap-secrets"
check "reload" agent gw1 pptpd reload
check_eq "the session goes on" "$(pings 3)" 3
kill -HUP "$(field "$("$lab" status)" .nodes.gw1.pptpd.monitor)"
check_eq "also after SIGHUP" "$(pings 3)" 3
check_eq "one host route" "$(on gw1 ip -o route show 10.8.0.10 | grep -c pppha0)" 1

# ---- kick ----
check_fails "kick of nobody says so" agent gw1 pptpd kick user=nobody
check "kick finds the user" agent gw1 pptpd kick user=api-client
check "the session ends" wait_for 8 has_sessions 0
check_match "the log says why" "$(log gw1)" 'session ended user="api-client" .*reason=kicked'
check_eq "its route is gone" "$(on gw1 ip route show 10.8.0.10)" ""
check_eq "its call is gone from the firewall" \
    "$(on gw1 nft -j list set inet pptp_ha calls | jq '[.nftables[] | .set?.elem // [] | length] | add')" 0
"$realclient" disconnect >/dev/null
check_eq "the user added by the reload logs in" \
    "$("$realclient" connect --user 'late user' --password 'late secret' | jq -r .ok)" true

# ---- roles ----
on client timeout 20 tcpdump -Z root -Uni wan -w "$scratch/silence.pcap" 'src host 198.51.100.10' 2>/dev/null &
dump=$!
sleep 1
pings 2 >/dev/null
sleep 1
moment=$(date +%s.%N)
check "demote" agent gw1 pptpd demote epoch=5
check "its sessions are gone" has_sessions 0
sleep 1
kill $dump
wait $dump 2>/dev/null
captured=$(tcpdump -ttnr "$scratch/silence.pcap" 2>/dev/null)
check_match "the capture saw the session" "$captured" 'GREv1'
check_eq "not a packet tells the client of the demotion" \
    "$(awk -v t="$moment" '$1 > t' <<<"$captured" | grep -v ARP | wc -l)" 0
check_eq "the role is standby" "$(field "$(agent gw1 pptpd status)" .role)" standby
check_fails "a lower epoch is refused" agent gw1 pptpd promote epoch=4
check "promote" agent gw1 pptpd promote epoch=6
check "promote again is harmless" agent gw1 pptpd promote epoch=6
"$realclient" disconnect >/dev/null
check_eq "a client connects again" "$("$realclient" connect | jq -r .ok)" true

# ---- stop ----
monitor=$(field "$("$lab" status)" .nodes.gw1.pptpd.monitor)
kill -TERM "$monitor"
check "SIGTERM ends the daemon" wait_for 5 eval "! kill -0 $monitor"
hung_up() {
	[ "$("$realclient" status | jq -r .interface)" != ppp0 ]
}
check "the client learns at once" wait_for 5 hung_up
check_eq "the control socket is gone" "$(ls "$(root gw1)/run/pptp-ha/" | grep -c pptpd)" 0
"$realclient" stop >/dev/null
