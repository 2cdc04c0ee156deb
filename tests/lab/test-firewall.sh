#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The guard and the gateway's rules, loaded by the real hagent, against real packets. Two namespaces:
# pha-fwa is the gateway gw1, pha-fwb everything around it (client, LAN server, tunnel client; its
# packets are made by hand, so one namespace is enough). Counters and what arrives are the proof.
#
#   tests/lab/test-firewall.sh [path of hagent]
set -u
here=$(cd "$(dirname "$0")" && pwd)
hagent=${1:-}
if [ -z "$hagent" ]; then
	for build in build build-dev; do
		[ -x "$here/../../$build/hagent/hagent" ] && hagent=$here/../../$build/hagent/hagent
	done
fi
[ -x "$hagent" ] || { echo "usage: $0 HAGENT" >&2; exit 2; }
hagent=$(realpath "$hagent")

root=$(mktemp -d)
failures=0
pids=()
unset SSH_CONNECTION

cleanup()
{
	for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null; done
	ip netns del pha-fwa 2>/dev/null
	ip netns del pha-fwb 2>/dev/null
	rm -rf "$root"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

ok() { echo "ok - $1"; }
not_ok() { echo "not ok - $1${2:+ ($2)}"; failures=$((failures + 1)); }
# check NAME COMMAND...: ok if it succeeds; refuse: ok if it fails.
check() { local name=$1 said; shift; if said=$("$@" 2>&1); then ok "$name"; else not_ok "$name" "$said"; fi; }
refuse() { local name=$1; shift; if "$@" >/dev/null 2>&1; then not_ok "$name"; else ok "$name"; fi; }
is() { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "got $2, want $3"; fi; }
between() { if [ "$2" -ge "$3" ] && [ "$2" -le "$4" ]; then ok "$1"; else not_ok "$1" "got $2, want $3..$4"; fi; }
has() { if grep -q -- "$3" <<<"$2"; then ok "$1"; else not_ok "$1" "got $(tr '\n' ';' <<<"$2"), want $3"; fi; }
lacks() { if grep -q -- "$3" <<<"$2"; then not_ok "$1" "got $(tr '\n' ';' <<<"$2")"; else ok "$1"; fi; }

A() { ip netns exec pha-fwa "$@"; }
B() { ip netns exec pha-fwb "$@"; }
H() { A "$hagent" --node gw1 --root "$root" "$@"; }
# packet INTERFACE PACKET...: what arrives anywhere around the gateway afterwards
packet() { local interface=$1; shift; B "$here/packets.py" send "${interface}b" "${mac[$interface]}" "$@"; }
quietly() { WAIT=0.05 packet "$@" >/dev/null; }
counter() { A nft -j list counter inet pptp_ha "$1" | grep -o '"packets": [0-9]*' | grep -o '[0-9]*$'; }
# counted NAME COUNTER DIFFERENCE INTERFACE PACKET...
counted()
{
	local name=$1 counter=$2 want=$3 before
	shift 3
	before=$(counter "$counter")
	quietly "$@"
	is "$name" $(($(counter "$counter") - before)) "$want"
}
# start NAME NAMESPACE COMMAND...: in the background, output to $root/NAME; sets $started and $fd, its
# standard input
start()
{
	local name=$1 namespace=$2
	shift 2
	mkfifo "$root/$name.in"
	ip netns exec "$namespace" "$@" <"$root/$name.in" >"$root/$name" 2>&1 &
	pids+=($!)
	started=$!
	exec {fd}>"$root/$name.in"
	rm "$root/$name.in"
}
# said NAME TEXT SECONDS: has that program printed it by then?
said()
{
	for ((i = 0; i < $3 * 20; i++)); do
		grep -q "$2" "$root/$1" 2>/dev/null && return 0
		sleep 0.05
	done
	return 1
}

# --- the two namespaces -------------------------------------------------------------------------
cleanup
mkdir -p "$root/etc/pptp-ha"
for ns in pha-fwa pha-fwb; do
	ip netns add $ns || exit 2
	ip -n $ns link set lo up
	ip netns exec $ns sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
done
declare -A mac=([wan]=02:00:00:00:01:01 [lan]=02:00:00:00:02:01 [sync]=02:00:00:00:03:01 [pppha0]=02:00:00:00:04:01)
for interface in wan lan sync pppha0; do
	ip -n pha-fwa link add $interface address ${mac[$interface]} type veth peer name ${interface}b netns pha-fwb
	ip -n pha-fwa link set $interface up
	ip -n pha-fwb link set ${interface}b address 02:00:00:00:09:01 up
	B ethtool -K ${interface}b tx off >/dev/null 2>&1
done
ip -n pha-fwa addr add 198.51.100.11/24 dev wan
ip -n pha-fwa addr add 198.51.100.10/24 dev wan
ip -n pha-fwa addr add 192.168.1.2/24 dev lan
ip -n pha-fwa addr add 10.255.0.1/30 dev sync
ip -n pha-fwa addr add 10.8.0.1/24 dev pppha0
ip -n pha-fwb addr add 198.51.100.100/24 dev wanb
for address in 198.51.100.100 198.51.100.101 198.51.100.12; do
	ip -n pha-fwa neigh add $address lladdr 02:00:00:00:09:01 dev wan
done
ip -n pha-fwa neigh add 192.168.1.20 lladdr 02:00:00:00:09:01 dev lan
ip -n pha-fwa neigh add 10.8.0.10 lladdr 02:00:00:00:09:01 dev pppha0
ip -n pha-fwa route add default via 198.51.100.100

# The lab's file, with a rate that a test can reach.
sed 's/connections-per-minute = .*/connections-per-minute = 60/; s/connection-burst = .*/connection-burst = 5/' \
	"$here/cluster.conf" >"$root/etc/pptp-ha/cluster.conf"

# A foreign table, which also tells whether packets are tracked.
A nft -f - <<'EOF'
table inet foreign {
	counter untracked { }
	counter tracked { }
	set kept { type ipv4_addr; elements = { 192.0.2.1 } }
	chain look {
		type filter hook input priority filter - 10; policy accept;
		tcp dport 1723 ct state untracked counter name untracked
		tcp dport 1723 ct state != untracked counter name tracked
		ip protocol gre ct state untracked counter name untracked
		ip protocol gre ct state != untracked counter name tracked
	}
}
EOF
foreign=$(A nft -s list table inet foreign)
VIP=198.51.100.10
CLIENT=198.51.100.100

# --- render and load ----------------------------------------------------------------------------
check "check-config takes the lab's file" H check-config
refuse "render --check says that the files are missing" H render --check
check "render" H render
check "render --check is content" H render --check
has "the first line says where the file is from" "$(head -1 "$root/etc/pptp-ha/gateway.nft")" "^# Rendered by hagent from /etc/pptp-ha/cluster.conf for node gw1"
echo "# edited" >>"$root/etc/pptp-ha/guard.nft"
has "render --check shows an edited line" "$(H render --check)" "^-# edited"
H render >/dev/null
check "the sysctls load" A sysctl -e -q -p "$root/etc/pptp-ha/sysctl.conf"
is "rp_filter is off on wan" "$(A cat /proc/sys/net/ipv4/conf/wan/rp_filter)" 0
refuse "firewall apply before the guard is refused" H firewall apply
refuse "guard hold before the guard is refused" H guard hold on
check "guard load" H guard load
check "guard load again" H guard load
is "the guard's rules stand once" "$(A nft list chain inet pptp_ha guard | grep -c 'goto guard_icmp')" 1
check "firewall apply" H firewall apply
has "the gate is shut at first" "$(H firewall status)" "gate shut"
refuse "guard unload before firewall remove is refused" H guard unload

# --- TCP/1723 -----------------------------------------------------------------------------------
counted "a SYN from a client network passes" pass_syn 1 wan tcp,src=$CLIENT,dst=$VIP,dport=1723
counted "a SYN from the crowd's network passes" pass_syn 1 wan tcp,src=198.18.3.4,dst=$VIP,dport=1723
counted "a SYN from another network is dropped" drop_pptp_source 1 wan tcp,src=8.8.8.8,dst=$VIP,dport=1723
before=$(counter pass_syn)
over=$(counter drop_syn_rate)
quietly wan tcp,src=198.51.100.101,dst=$VIP,dport=1723,n=20
between "the rate limit lets a burst of 5 pass" $(($(counter pass_syn) - before)) 5 6
between "and drops the rest" $(($(counter drop_syn_rate) - over)) 14 15
counted "another source is not limited by it" pass_syn 1 wan tcp,src=198.18.9.9,dst=$VIP,dport=1723
counted "later segments of a limited source pass" drop_syn_rate 0 wan tcp,src=198.51.100.101,dst=$VIP,dport=1723,flags=A,n=5
has "to port 1723 with nobody listening, a client learns at once" \
	"$(packet wan tcp,src=198.18.0.7,dst=$VIP,dport=1723)" "tcp $VIP>198.18.0.7 .*flags=RA"

# --- GRE ----------------------------------------------------------------------------------------
gre=gre,src=$CLIENT,dst=$VIP,call=0x1234
counted "GRE of an unknown call is dropped" drop_gre_call 1 wan $gre
A nft add element inet pptp_ha calls "{ $CLIENT . 0x1234 }"
counted "GRE of a known call is accepted" pass_gre 1 wan $gre
counted "the call id of another source is dropped" drop_gre_call 1 wan gre,src=198.51.100.101,dst=$VIP,call=0x1234
counted "with S, A, both or neither bit it is accepted" pass_gre 4 wan $gre,word=0x3001880b $gre,word=0x3081880b $gre,word=0x2081880b $gre,word=0x2001880b
counted "a broken header is dropped: version 0, no key, C, R, s, recursion, flags, protocol" drop_gre_header 8 wan \
	$gre,word=0x3000880b $gre,word=0x1001880b $gre,word=0xb001880b $gre,word=0x7001880b $gre,word=0x3801880b $gre,word=0x3101880b $gre,word=0x3041880b $gre,word=0x30010800
counted "a header without call id is dropped" drop_gre_call 1 wan $gre,len=6
counted "GRE to another address of the gateway is dropped" drop_gre_call 1 wan gre,src=$CLIENT,dst=198.51.100.11,call=0x1234
A nft "add element inet pptp_ha calls { $CLIENT . 0x1234 }; delete element inet pptp_ha calls { $CLIENT . 0x1234 }"
check "deleting a call that is gone" A nft "add element inet pptp_ha calls { $CLIENT . 0x1234 }; delete element inet pptp_ha calls { $CLIENT . 0x1234 }"
counted "GRE of a deleted call is dropped" drop_gre_call 1 wan $gre
is "nothing on TCP/1723 or GRE to the address was tracked but one to a foreign address" \
	"$(A nft list counter inet foreign tracked | grep -o 'packets [0-9]*')" "packets 1"

# --- where a source address may come from -------------------------------------------------------
counted "a bogon is dropped" drop_bogon 1 wan tcp,src=203.0.113.9,dst=$VIP,dport=1723
counted "RFC 1918 on WAN is dropped" drop_bogon 1 wan tcp,src=172.16.1.1,dst=$VIP,dport=1723
counted "the VIP, LAN, sync and pool as sources on WAN are dropped" drop_spoof 4 wan \
	icmp,src=$VIP,dst=198.51.100.11 icmp,src=192.168.1.20,dst=$VIP icmp,src=10.255.0.2,dst=$VIP icmp,src=10.8.0.10,dst=$VIP
# The gateway that stands by: the other one's answers from the address pass, and are no call's.
A ip addr del $VIP/24 dev wan
counted "the VIP as a source where it is not: not dropped" drop_spoof 0 wan icmp,src=$VIP,dst=198.51.100.11
counted "GRE from the VIP where it is not: accepted, no call needed" drop_gre_call 0 wan gre,src=$VIP,dst=198.51.100.11,call=0x1234
counted "GRE from another one there is not" drop_gre_call 1 wan gre,src=$CLIENT,dst=198.51.100.11,call=0x1234
A ip addr add $VIP/24 dev wan
counted "a foreign source on LAN is dropped" drop_spoof 1 lan icmp,src=$CLIENT,dst=192.168.1.2
counted "a foreign source on sync is dropped" drop_spoof 1 sync icmp,src=$CLIENT,dst=10.255.0.1
counted "a source outside the pool in a tunnel is dropped" drop_tunnel_source 1 pppha0 icmp,src=192.168.1.20,dst=10.8.0.1
A nft add element inet pptp_ha banned '{ 198.18.66.6 }'
counted "a banned source is dropped" drop_banned 1 wan icmp,src=198.18.66.6,dst=$VIP

# --- the rest of the input ----------------------------------------------------------------------
has "the VIP answers ping" "$(packet wan icmp,src=$CLIENT,dst=$VIP)" "icmp $VIP>$CLIENT .*type=0"
has "10.8.0.1 answers ping in the tunnel" "$(packet pppha0 icmp,src=10.8.0.10,dst=10.8.0.1)" "icmp 10.8.0.1>10.8.0.10 .*type=0"
counted "SSH from WAN is dropped" drop_input 1 wan tcp,src=$CLIENT,dst=198.51.100.11,dport=22
counted "SSH through the tunnel is dropped" drop_input 1 pppha0 tcp,src=10.8.0.10,dst=10.8.0.1,dport=22
lacks "a stray segment to a NAT port gets no RST" "$(packet wan tcp,src=$CLIENT,dst=$VIP,dport=25000,flags=A)" "tcp $VIP"
between "it is counted" "$(($(counter drop_stray) + $(counter drop_invalid)))" 1 1
counted "VRRP from the peer is accepted" drop_vrrp 0 wan vrrp,src=198.51.100.12,dst=198.51.100.11
counted "VRRP from anybody else is dropped" drop_vrrp 1 wan vrrp,src=$CLIENT,dst=198.51.100.11

# --- forwarding ---------------------------------------------------------------------------------
web=tcp,src=10.8.0.10,dst=192.168.1.20,dport=443
counted "the shut gate stops tunnel to LAN" drop_gate 1 pppha0 $web
counted "the shut gate stops tunnel to WAN" drop_gate 1 pppha0 udp,src=10.8.0.10,dst=8.8.8.8,dport=53
ip -n pha-fwa addr del $VIP/24 dev wan
ip -n pha-fwa neigh replace $VIP lladdr 02:00:00:00:09:01 dev wan
has "the shut gate relays WAN to WAN for the VIP" "$(packet wan tcp,src=$CLIENT,dst=$VIP,dport=1723,flags=A)" "wanb tcp $CLIENT>$VIP ttl=63"
counted "but nothing else" drop_gate 1 wan udp,src=$CLIENT,dst=8.8.8.8,dport=53
ip -n pha-fwa neigh del $VIP dev wan
ip -n pha-fwa addr add $VIP/24 dev wan

check "gate open" H firewall gate open
check "gate open again" H firewall gate open
counted "after a takeover, GRE of an unknown call is told" told_gre_call 1 wan $gre
has "by ICMP protocol-unreachable" "$(packet wan $gre)" "icmp $VIP>$CLIENT .*type=3.*code=2"
H guard hold on unknown
counted "not while it may yet be restored" drop_gre_call 1 wan $gre
H guard hold off unknown
A nft flush set inet pptp_ha tell_strangers
counted "and not later" drop_gre_call 1 wan $gre
has "an API's port is reached, its SYN clamped" "$(packet pppha0 $web)" "lanb tcp 10.8.0.10>192.168.1.20 .*dport=443 flags=S mss=1360"
has "an API's UDP port is reached" "$(packet pppha0 udp,src=10.8.0.10,dst=192.168.1.20,dport=7000)" "lanb udp 10.8.0.10>192.168.1.20"
has "an API is pinged" "$(packet pppha0 icmp,src=10.8.0.10,dst=192.168.1.20)" "lanb icmp 10.8.0.10>192.168.1.20"
counted "another TCP port is not reached" drop_api 1 pppha0 tcp,src=10.8.0.10,dst=192.168.1.20,dport=80
counted "nor a UDP port that is open for TCP" drop_api 1 pppha0 udp,src=10.8.0.10,dst=192.168.1.20,dport=443
counted "nor another host" drop_api 1 pppha0 tcp,src=10.8.0.10,dst=192.168.1.21,dport=443
has "the API's answer returns, its SYN clamped" "$(packet lan tcp,src=192.168.1.20,sport=443,dst=10.8.0.10,dport=40000,flags=SA)" "pppha0b tcp 192.168.1.20>10.8.0.10 .*mss=1360"
counted "a new connection from LAN into the tunnel is dropped" drop_forward 1 lan tcp,src=192.168.1.20,dst=10.8.0.10,dport=80
lacks "a stray segment is not forwarded" "$(packet pppha0 tcp,src=10.8.0.10,dst=192.168.1.20,dport=5201,flags=A)" "lanb tcp"
arrived=$(packet pppha0 udp,src=10.8.0.10,dst=8.8.8.8,dport=53)
has "tunnel to WAN leaves with the VIP's address" "$arrived" "wanb udp $VIP>8.8.8.8"
port=$(grep -o 'sport=[0-9]*' <<<"$arrived" | cut -d= -f2 | head -1)
between "and a port of the pair's range" "${port:-0}" 20000 60000
has "its answer returns" "$(packet wan udp,src=8.8.8.8,sport=53,dst=$VIP,dport=${port:-1})" "pppha0b udp 8.8.8.8>10.8.0.10 .*dport=40000"
has "a ping to WAN leaves with the VIP's address" "$(packet pppha0 icmp,src=10.8.0.10,dst=8.8.8.8)" "wanb icmp $VIP>8.8.8.8"
counted "WAN into the tunnel is dropped" drop_forward 1 wan tcp,src=8.8.8.8,dst=10.8.0.10,dport=80
counted "tunnel to tunnel is dropped" drop_forward 1 pppha0 tcp,src=10.8.0.10,dst=10.8.0.11,dport=80

# --- applying again -----------------------------------------------------------------------------
A nft add element inet pptp_ha calls "{ $CLIENT . 0x2345, 198.18.0.1 . 7 }"
H guard hold on calls
kept=$(counter drop_bogon)
guard=$(A nft -a list chain inet pptp_ha guard)
check "firewall apply again" H firewall apply
is "the rules stand once" "$(A nft list chain inet pptp_ha gre | grep -c '@calls')" 1
calls=$(A nft list set inet pptp_ha calls)
has "known calls survive" "$calls" "$CLIENT . 0x2345"
has "all of them" "$calls" "198.18.0.1 . 0x7"
has "bans survive" "$(A nft list set inet pptp_ha banned)" "198.18.66.6"
has "the gate stays open" "$(H firewall status)" "gate open"
has "the hold stays" "$(A nft list set inet pptp_ha hold_calls)" "ipv4"
is "counters survive" "$(counter drop_bogon)" "$kept"
is "the guard was not touched, down to its handles" "$(A nft -a list chain inet pptp_ha guard)" "$guard"
counted "a known call is accepted" pass_gre 1 wan gre,src=$CLIENT,dst=$VIP,call=0x2345
printf 'table inet pptp_ha { chain input { no such rule } }\n' >"$root/etc/pptp-ha/gateway.nft"
refuse "a broken ruleset is refused" H firewall apply
is "and changes nothing" "$(A nft list chain inet pptp_ha gre | grep -c '@calls')" 1
H render >/dev/null
check "gate shut" H firewall gate shut
counted "and stops tunnel to LAN again" drop_gate 1 pppha0 tcp,src=10.8.0.10,dst=192.168.1.20,dport=5201
H guard hold off

# --- the login that applies it ------------------------------------------------------------------
ssh="$CLIENT 50000 198.51.100.11 22"
refuse "apply refuses to lock out the operator's own login" env SSH_CONNECTION="$ssh" ip netns exec pha-fwa "$hagent" --root "$root" firewall apply
check "--force does it" env SSH_CONNECTION="$ssh" ip netns exec pha-fwa "$hagent" --root "$root" firewall apply --force
check "a login to another machine does not matter" env SSH_CONNECTION="$CLIENT 50000 203.0.113.7 22" ip netns exec pha-fwa "$hagent" --root "$root" firewall apply
printf 'management { networks = { %s/32 } tcp-ports = { 22 } }\n' $CLIENT >>"$root/etc/pptp-ha/cluster.conf"
H render >/dev/null
check "nor does one that management {} names" env SSH_CONNECTION="$ssh" ip netns exec pha-fwa "$hagent" --root "$root" firewall apply
counted "whose SYN then passes" drop_input 0 wan tcp,src=$CLIENT,dst=198.51.100.11,dport=22
has "and is answered" "$(packet wan tcp,src=198.51.100.100,sport=41000,dst=198.51.100.11,dport=22)" "tcp 198.51.100.11>198.51.100.100 .*flags=RA"
counted "others are still dropped" drop_input 1 wan tcp,src=198.51.100.101,dst=198.51.100.11,dport=22

# --- the guard ----------------------------------------------------------------------------------
# A fresh table, so that the rate limit of the tests above is out of the way.
check "firewall remove" H firewall remove
check "firewall remove again" H firewall remove
check "firewall apply after it" H firewall apply
start listener pha-fwa "$here/packets.py" listen $VIP
listener=$started listener_in=$fd
said listener listening 5 || not_ok "the listener starts" "$(cat "$root/listener")"
# live NAME: a connection from the client
live()
{
	start "$1" pha-fwb "$here/packets.py" dial $CLIENT $VIP
	said "$1" connected 5 || not_ok "$1 connects" "$(cat "$root/$1")"
}
stray=tcp,src=198.51.100.101,dst=$VIP,dport=1723,flags=A

has "no hold: a stray segment to the listener gets its RST" "$(packet wan $stray)" "tcp $VIP>198.51.100.101 .*flags=R"
H guard hold on unknown
lacks "hold unknown: it gets none" "$(packet wan $stray)" "tcp $VIP"
between "it was counted" "$(counter guard_unknown)" 1 1
H guard hold off unknown
live planned
H guard hold on
echo close >&"$listener_in"
if said planned end 3; then ok "hold: a deliberate close passes"; else not_ok "hold: a deliberate close passes"; fi
live crashed
kill -9 "$listener"
wait "$listener" 2>/dev/null
if said crashed end 1; then not_ok "hold: the FIN of a killed daemon is dropped"; else ok "hold: the FIN of a killed daemon is dropped"; fi
between "it was counted" "$(counter guard_call)" 1 20
lacks "hold: a stray segment to no socket gets no RST" "$(packet wan $stray)" "tcp $VIP"
A nft add element inet pptp_ha calls "{ $CLIENT . 0x1234 }"
lacks "hold: GRE without a socket gets no protocol-unreachable" "$(packet wan gre,src=$CLIENT,dst=$VIP,call=0x1234)" "icmp .*type=3"
is "hold: fragmentation-needed passes" "$(A "$here/packets.py" icmp $VIP $CLIENT 4)" ""
is "hold: port-unreachable does not" "$(A "$here/packets.py" icmp $VIP $CLIENT 3)" "refused"
check "hold off" H guard hold off
if said crashed 'end\|Reset' 5; then ok "no hold: the FIN of the killed daemon gets through"; else not_ok "no hold: the FIN of the killed daemon gets through"; fi
has "no hold: a stray segment to no socket gets its RST" "$(packet wan $stray)" "tcp $VIP>198.51.100.101 .*flags=R"
has "no hold: GRE without a socket gets its protocol-unreachable" "$(packet wan gre,src=$CLIENT,dst=$VIP,call=0x1234)" "icmp $VIP>$CLIENT .*type=3 code=2"

# --- the end ------------------------------------------------------------------------------------
H guard hold on
check "firewall remove" H firewall remove
is "only the guard is left" "$(A nft list table inet pptp_ha | grep -c 'chain ')" 2
lacks "and still holds" "$(packet wan $stray)" "tcp $VIP"
check "guard unload, last" H guard unload
refuse "the table is gone" A nft list table inet pptp_ha
check "guard unload again" H guard unload
for sample in "$here"/../config/cluster.*.conf; do
	node=$(sed -n 's/^node \([^ ]*\) .*/\1/p' "$sample" | head -1)
	for interface in $(sed -n "s/.*-interface = '*\\([^ ']*\\).*/\\1/p" "$sample" | sort -u); do
		A ip link show "$interface" >/dev/null 2>&1 || A ip link add "$interface" type bridge
	done
	cp "$sample" "$root/etc/pptp-ha/cluster.conf"
	check "$(basename "$sample") renders" H --node "$node" render
	check "and loads" A sh -c "$hagent --root $root guard load && $hagent --root $root firewall apply"
done
H firewall remove
H guard unload
is "the foreign table is as it was" "$(A nft -s list table inet foreign)" "$foreign"

[ "$failures" -eq 0 ] || { echo "$failures failed"; exit 1; }
