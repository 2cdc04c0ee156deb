#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Sessions of every kind, from our own client: as Windows behaves, several calls on one connection, two
# clients behind one NAT with the same call id, 200 at once; then bad networks and bad packets. What a
# session loses is counted at the client, and what was dropped is read from daemon and firewall.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/client.sh"

prefix=${PHA_LAB_PREFIX:-pha}
nat=$prefix-nat
dumps=()

# ---- a NAT box on the WAN, two clients with the same address range behind it ----

nat_up() {
	local side
	ip netns add "$nat" && ip netns add "$nat-a" && ip netns add "$nat-b" || return 1
	ip -n "$prefix-wan" link add nat type veth peer name wan netns "$nat" &&
	    ip -n "$prefix-wan" link set nat master br0 up &&
	    ip -n "$nat" addr add 198.51.100.150/24 dev wan && ip -n "$nat" link set wan up || return 1
	for side in a b; do
		ip -n "$nat" link add "in-$side" type veth peer name wan netns "$nat-$side" || return 1
		ip -n "$nat" link set "in-$side" up
		ip -n "$nat-$side" link set lo up
		ip -n "$nat-$side" link set wan up
	done
	ip -n "$nat" addr add 172.31.1.1/24 dev in-a
	ip -n "$nat" addr add 172.31.2.1/24 dev in-b
	ip -n "$nat-a" addr add 172.31.1.2/24 dev wan
	ip -n "$nat-b" addr add 172.31.2.2/24 dev wan
	ip -n "$nat-a" route add default via 172.31.1.1
	ip -n "$nat-b" route add default via 172.31.2.1
	ip netns exec "$nat" sysctl -qw net.ipv4.ip_forward=1
	ip netns exec "$nat" nft -f - <<-'RULES'
		table ip nat_box {
			ct helper pptp { type "pptp" protocol tcp; }
			chain pre {
				type filter hook prerouting priority filter; policy accept;
				tcp dport 1723 ct helper set "pptp"
			}
			chain post {
				type nat hook postrouting priority srcnat; policy accept;
				oifname "wan" masquerade
			}
		}
	RULES
}
nat_down() {
	local name
	for name in "$nat-a" "$nat-b" "$nat"; do
		ip netns del "$name" 2>/dev/null
	done
}
clean_up() {
	local status=$? pid
	for pid in "${dumps[@]}"; do
		kill "$pid" 2>/dev/null
	done
	nat_down
	(exit $status)
	end_of_script
}
trap clean_up EXIT

# behind_nat SIDE OPTION...
behind_nat() {
	local side=$1
	shift
	timeout 60 ip netns exec "$nat-$side" "$pptp_client" --server $vip "$@" \
	    >"$scratch/nat-$side.json" 2>"$scratch/nat-$side.err"
}

# both_behind_nat NAME OPTION...: the same options on both sides at the same time
both_behind_nat() {
	local name=$1 a b
	shift
	behind_nat a --user u1 --password p1 "$@" &
	a=$!
	behind_nat b --user u2 --password p2 "$@" &
	b=$!
	wait_for 5 has_sessions 2
	agent gw1 pptpd sessions >"$scratch/sessions.json"
	if wait $a && wait $b; then
		ok "$name"
	else
		not_ok "$name" "$(jq -c '{connected,reasons,detail,traffic}' "$scratch"/nat-?.json)" \
		    "$(cat "$scratch"/nat-?.err)"
	fi
	check_eq "  both from one address" "$(jq -r '[.sessions[].peer] | unique | join(" ")' "$scratch/sessions.json")" \
	    198.51.100.150
	check_eq "  with two call ids as the NAT made them" \
	    "$(jq -r '[.sessions[].peer_call] | unique | length' "$scratch/sessions.json")" 2
	wait_for 5 has_sessions 0
}

# dump NODE INTERFACE FILTER FILE: what must never be seen there
dump() {
	ip netns exec "$prefix-$1" tcpdump -Z root -Uni "$2" -w "$scratch/$4" "$3" 2>/dev/null &
	dumps+=($!)
}
# seen FILE: what a dump holds; a dump that was never made holds an error
seen() {
	tcpdump -nr "$scratch/$1" 2>&1 | grep -v '^reading from file' | head -n 5
}

need_lab --single --users 300
build_client
nat_down
engine=$(engine_pid)
# Inner addresses in the clear on the WAN, at any time.
dump client wan "net 10.8.0.0/16 and not proto 47" clear.pcap
sleep 0.5

# ---- kinds of clients ----

check_client "a client as Linux behaves: 20 pings of 1,200 bytes" "${static_user[@]}" --ping $api \
    --count 20 --size 1200 --rate 50
check_eq "  gets the address of its secret" "$(r .address)" 10.8.0.10
check_eq "  MPPE-128 stateless" "$(r .mppe)" 01000040
check_eq "  and both DNS servers" "$(r '.dns | join(" ")')" "8.8.8.8 8.8.4.4"
check_client "a client as Windows behaves" "${static_user[@]}" --style windows --ping $api --count 20 \
    --size 1200 --rate 50
check_eq "  MPPE-128 stateless, of the many bits it offered" "$(r .mppe)" 01000040
check_client "control messages in segments of one byte" "${static_user[@]}" --bytewise --ping $api --count 5
check_client "PPTP and LCP echoes keep an idle session" "${static_user[@]}" --echo-interval 1 --lcp-echo 1 --hold 4

# ---- several calls, one connection ----

client "${any_user[@]}" --sessions 3 --calls 3 --ping $api --udp $api:7000 --rate 50 --hold 3 &
run=$!
wait_for 5 has_sessions 3
check_eq "three calls share one control connection" "$(status .control_connections)" 1
if wait $run; then
	ok "each of them passes traffic"
else
	not_ok "each of them passes traffic" "$(explain)"
fi
check_eq "  with an address of its own" "$(r .distinct_addresses)" 3
wait_for 5 has_sessions 0

# ---- one NAT ----

if nat_up; then
	both_behind_nat "two clients behind one NAT with the same call id" --call-id 768 --ping $api \
	    --udp $api:7000 --rate 50 --hold 3
	both_behind_nat "with the same call id and the same source port" --call-id 768 --source-port 40000 \
	    --ping $api --udp $api:7000 --rate 50 --hold 3
else
	not_ok "the NAT stands" "the kernel refused a part of it"
fi
nat_down

# ---- 200 at once ----

check_client "200 sessions at once pass traffic both ways without loss" "${any_user[@]}" --sessions 200 \
    --parallel 200 --source 198.18.0.1-198.18.0.100 --ping $api --udp $api:7000 --rate 10 --size 1000 --hold 10
note "$(r '"set-ups per second \(.setups_per_second), total ms \(.setup_ms.total | "\(.median) median, \(.max) max"), " +
    "packets \(.traffic.ping.sent + .traffic.udp.sent), round trip ms \(.traffic.rtt_ms | "\(.median) median, \(.p99) p99")"')"
check_eq "  each with an address of its own" "$(r .distinct_addresses)" 200
check_eq "  nothing twice, nothing out of order" "$(r '[.traffic[] | objects | (.duplicates, .reordered) // 0] | add')" 0
check "  and all are gone afterwards" wait_for 5 has_sessions 0
check_eq "  from the firewall too" \
    "$(on gw1 nft -j list set inet pptp_ha calls | jq '[.nftables[] | .set?.elem // [] | length] | add')" 0

# ---- a bad network ----

# bad_network OPTION...: 1,600 packets; how many may be lost is a check of the caller
bad_network() {
	snapshot
	client "${static_user[@]}" --ping $api --udp $api:7000 --rate 200 --hold 4 --max-loss 100000 "$@"
	check_eq "bad network $*: the session lives" "$(r '"\(.connected) \(.lost)"')" "1 0"
	note "faults $(r '.faults | to_entries | map(select(.value > 0) | "\(.key) \(.value)") | join(", ")');" \
	    "daemon: $(all_grown); lost $(r '.traffic.ping.lost + .traffic.udp.lost')"
}
lost() {
	r '.traffic.ping.lost + .traffic.udp.lost'
}

bad_network --gre-reorder 10
check_eq "  reordering is put right: nothing is lost" "$(lost)" 0
check_between "  by the daemon" "$(grown reordered)" "$(r '.faults.reordered')" 1600
check_between "  and there was some" "$(r '.faults.reordered')" 50 1600
bad_network --gre-duplicate 10
check_eq "  nothing is lost" "$(lost)" 0
check_eq "  each duplicate is dropped by the daemon" "$(grown duplicate)" "$(r '.faults.duplicated')"
check_between "  and there were some" "$(r '.faults.duplicated')" 50 1600
check_eq "  nothing came twice" "$(r '.traffic.ping.duplicates + .traffic.udp.duplicates')" 0
bad_network --gre-loss 5
check_between "  nothing is lost but what the network lost" "$(lost)" 20 "$(r '.faults.lost')"
check_eq "  and the daemon knows what" "$(grown lost)" "$(r '.faults.lost')"
bad_network --gre-corrupt 5
check_between "  nothing is lost but what was corrupted" "$(lost)" 20 "$(r '.faults.corrupted_instead')"
check_eq "  nothing damaged came back" "$(r '.traffic.damaged')" 0
check_between "  the daemon dropped those that it could tell" "$(grown insane ppp mppe source)" 1 "$(r '.faults.corrupted_instead')"
bad_network --gre-corrupt-extra 5
check_between "  a corrupted copy costs at most the packet that it came before" "$(lost)" 0 "$(r '.faults.corrupted_before')"
check_eq "  the second of each pair is a duplicate" "$(grown duplicate)" "$(r '.faults.corrupted_before + .faults.corrupted_after')"
bad_network --gre-reorder 5 --gre-duplicate 5 --gre-loss 2 --gre-corrupt 2 --gre-receive
# A machine that is late itself gives a gap up before its packet comes: the late one is known, too.
check_between "  everything at once, both ways: nothing else is lost" "$(lost)" 10 \
    $(($(r '.faults.lost + .faults.corrupted_instead + .faults_receive.lost + .gre.late') + $(grown late)))

# ---- bad packets ----

# On the TUN only the session's own address may appear; attacks mark their inner packets with sequence FFFF.
dump gw1 pppha0 "not host 10.8.0.10 or icmp[6:2] = 0xffff" tun.pcap
sleep 0.5

# attack KIND LEAST COUNTER...: 200 packets; the counters must account for at least LEAST of them
attack() {
	local kind=$1 least=$2
	shift 2
	snapshot
	check_client "attack $kind: the session lives and loses nothing" "${static_user[@]}" --ping $api --rate 50 \
	    --hold 1 --attack "$kind"
	check_between "  200 packets are accounted for by $*" "$(grown "$@")" "$least" 200
	note "$(all_grown)"
	check_eq "  none was answered by the server" "$(r '.traffic.ping.foreign')" 0
}

attack foreign-call 200 unknown-call drop_gre_call told_gre_call
attack spoof-outer 200 foreign-peer drop_gre_call told_gre_call
attack bad-header 200 gre-header drop_gre_header
attack random-gre 200 gre-header unknown-call drop_gre_header drop_gre_call told_gre_call
attack truncated 200 gre-header ppp mppe insane drop_gre_header drop_gre_call told_gre_call
attack spoof-source 200 source
attack clear-ip 200 clear-ip
attack mppe-count 200 mppe insane
attack random-ppp 20 ppp clear-ip mppe insane ring
attack reset-request 0 mppe
check_eq "  each Reset-Request is answered" "$(r .ppp.reset_acks)" 200
check_eq "nothing of these attacks reached the TUN" "$(seen tun.pcap)" ""

for kind in random-control oversize-control; do
	before=$(status .totals.control_malformed)
	check_client "attack $kind: its connection is dropped, the other session loses nothing" "${any_user[@]}" \
	    --sessions 2 --ping $api --rate 50 --hold 1 --attack $kind
	check_eq "  one of two sessions ended" "$(r .lost)" 1
	check_eq "  counted as malformed" "$(status .totals.control_malformed)" $((${before:-0} + 1))
done
check_match "and the log names the peer" "$(log gw1)" 'malformed control message peer=198.51.100.100:[0-9]+ reason='

# ---- afterwards ----

check_client "afterwards a client is served as before" "${static_user[@]}" --ping $api --count 20 --rate 50
check_eq "by the same engine" "$(engine_pid)" "$engine"
check_eq "no inner packet was on the WAN in the clear" "$(seen clear.pcap)" ""
