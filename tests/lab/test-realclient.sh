#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Clients that share no code with ours: pppd with the kernel's MPPE, and lwIP's PPP.
. "$(dirname "$0")/lib.sh"

connect() {
	"$realclient" connect "$@"
}

# refused NAME REGEX OPTIONS...: the dial must fail, and the daemon must say why
refused() {
	local name=$1 regex=$2 before answer
	shift 2
	before=$(log gw1 | wc -l)
	answer=$(connect --timeout 20 "$@")
	check_eq "$name: refused" "$(field "$answer" .address)" ""
	check_match "$name: the daemon's log tells why" "$(log gw1 | tail -n +$((before + 1)))" "$regex"
	note "$name: the client says $(field "$answer" .reason)"
	"$realclient" disconnect >/dev/null
}

# transfer NAME ARGUMENTS of fetch...
transfer() {
	local name=$1 answer
	shift
	answer=$("$realclient" fetch "$@")
	check_eq "$name: all bytes arrive" "$(field "$answer" .bytes)" 40000000
	note "figure: $name 40 MB in $(field "$answer" .seconds) s, $(field "$answer" .mbit_s) Mbit/s"
}

need_lab
check "the client starts" "$realclient" start
check_fails "no way to the server without a tunnel" "$realclient" ping 192.168.1.20 --count 1

answer=$(connect)
check_eq "pppd connects to the virtual address" "$(field "$answer" .ok)" true
check_eq "it has the address of its secret" "$(field "$answer" .address)" 10.8.0.10
check_eq "MPPE-128 stateless" "$(field "$answer" .mppe)" "128-bit stateless"
check_eq "MS-CHAPv2" "$(field "$answer" .auth)" "chap MS-v2"
check_eq "DNS is pushed" "$(field "$answer" '.dns | join(" ")')" "8.8.8.8 8.8.4.4"
note "figure: pppd connects in $(field "$answer" .connect_ms) ms"

answer=$("$realclient" ping 192.168.1.20 --count 20 --size 1200)
check_eq "20 pings of 1,200 bytes reach the server" "$(field "$answer" .received)" 20
answer=$("$realclient" ping 10.8.0.1 --count 5 --size 1400)
check_eq "pings larger than the tunnel's MTU arrive" "$(field "$answer" .received)" 5
answer=$("$realclient" fetch https://192.168.1.20/)
check_eq "HTTPS works" "$(field "$answer" .http)" 200
check_eq "the server sees the tunnel address" "$(field "$answer" .body | jq -r .you)" 10.8.0.10
check_fails "port 80 is blocked" "$realclient" fetch http://192.168.1.20/ --timeout 3
transfer download https://192.168.1.20/bytes/40000000
transfer upload https://192.168.1.20/ --upload 40000000
answer=$("$realclient" iperf 192.168.1.20 --udp 5M --seconds 3)
check "UDP at 5 Mbit/s arrives" jq -e '.lost_percent < 50' <<<"$answer"
note "figure: UDP at 5 Mbit/s loses $(field "$answer" '.lost_percent | tostring') %"

sessions=$(agent gw1 pptpd sessions)
check_eq "one session" "$(field "$sessions" '.sessions | length')" 1
check_eq "it knows its user" "$(field "$sessions" '.sessions[0].user')" api-client
check "the client hangs up" "$realclient" disconnect
no_sessions() {
	[ "$(agent gw1 pptpd sessions | jq '.sessions | length')" = 0 ]
}
check "the session ends with it" wait_for 5 no_sessions

refused "wrong password" 'auth|password' --password wrong
check_match "MS-CHAPv2 failure 691" "$(connect --password wrong | jq -r .chap_failure)" '^E=691'
refused "unknown user" 'user|auth' --user nobody
refused "no MPPE" 'MPPE|encrypt' --no-mppe
refused "PAP only" 'auth|PAP' --auth pap --no-mppe
refused "MS-CHAP version 1 only" 'auth|CHAP' --auth mschap --no-mppe

answer=$(connect)
check_match "a good client connects after all that" "$answer" '"ok": true'
"$realclient" disconnect >/dev/null

answer=$("$lwipclient" -P 192.168.1.20 -c 20 -l 1200)
note "$answer"
check_eq "lwIP connects with MPPE-128" "$(field "$answer" .mppe)" "128-bit stateless"
check_eq "lwIP gets the address of its secret" "$(field "$answer" .address)" 10.8.0.10
check_eq "lwIP gets DNS" "$(field "$answer" '.dns[0]')" 8.8.8.8
check_eq "lwIP: 20 pings of 1,200 bytes reach the server" "$(field "$answer" .received)" 20
answer=$("$lwipclient" -p wrong)
check_eq "lwIP with a wrong password is refused" "$(field "$answer" .reason)" "authentication failed"
