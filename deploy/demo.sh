#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# deploy/demo.sh: from a clean clone to a client's HTTPS transfer through an encrypted tunnel, and on
# through the death of the gateway that carried it. Installs what is missing, builds, sets up two
# gateways, a client and a server on this machine, each in a network namespace of its own, and tells
# what the client sees. Removes all of it at the end. Exit status 0 = everything was as it should be.
set -u
cd "$(dirname "$0")/.." || exit 1
lab=tests/lab/lab
client=tests/realclient/realclient
logs=$(mktemp -d)
wrong=0

say() {
	printf '\n%s\n' "$*"
}

show() {
	printf '    %-28s %s\n' "$1" "$2"
}

# expect WHAT GOT WANT: shows it, and remembers when it is not as it should be
expect() {
	if [ "$2" = "$3" ]; then
		show "$1" "$2"
	else
		show "$1" "${2:-nothing}   <-- WRONG, should be $3"
		wrong=1
	fi
}

field() {
	jq -r "$2 // empty" 2>/dev/null <<<"$1"
}

end() {
	local status=$?
	[ $status = 0 ] || [ ! -e "$logs/step" ] || tail -n 20 "$logs/step" | sed 's/^/    | /'
	PHA_LAB_LOGS=$logs $lab down >/dev/null 2>&1
	if [ $status != 0 ]; then
		for node in gw1 gw2; do
			for log in agent pptpd; do
				tail -n 15 "$logs/$node/$log.log" 2>/dev/null | sed "s/^/    $node $log | /"
			done
		done
	fi
	rm -rf "$logs"
	exit $status
}
trap end EXIT
trap 'exit 1' INT TERM

# quietly COMMAND...: output only when it fails
quietly() {
	"$@" >"$logs/step" 2>&1 || {
		echo "    failed: $*"
		exit 1
	}
	rm -f "$logs/step"
}

# between A B: milliseconds from A to B, both in seconds
between() {
	awk -v a="$1" -v b="$2" 'BEGIN { printf "%.0f\n", (b - a) * 1000 }'
}

# transfer WAY ARGUMENTS of fetch...
transfer() {
	local way=$1 move
	shift
	move=$($client fetch "$@")
	expect "HTTPS $way" "$(field "$move" .bytes) bytes" "50000000 bytes"
	show "" "$(field "$move" .seconds) s, $(field "$move" .mbit_s) Mbit/s"
}

# moved NODE: bytes that this gateway has taken from the server for its clients
moved() {
	$lab exec "$1" cat /sys/class/net/pppha0/statistics/tx_bytes
}

# roles: who is what, in keepalived's words and the daemon's
roles() {
	local status
	status=$($lab status)
	expect "gw1" "$(field "$status" '.nodes.gw1 | "\(.role), \(.pptpd.role)"')" "$1"
	expect "gw2" "$(field "$status" '.nodes.gw2 | "\(.role), \(.pptpd.role)"')" "$2"
}

if [ "$(id -u)" != 0 ]; then
	echo "deploy/demo.sh must run as root: it makes network namespaces." >&2
	exit 1
fi

say "1. Installing what is missing, and building."
quietly deploy/install-packages.sh
quietly cmake --preset release
quietly cmake --build --preset release --target pptpd hagent -j "$(nproc)"

say "2. Setting up the network: gateways gw1 and gw2, a client, and an API server behind the gateways."
quietly $lab up
show "virtual address" "198.51.100.10 (the one that clients know)"
roles "MASTER, active" "BACKUP, standby"
show "" "MASTER has the virtual address and serves; BACKUP waits."

say "3. Starting a client: Linux's own pppd with pptp, as anybody would use it."
quietly $client start
show "runs in" "$($client status | jq -r '{direct: "its namespace", uml: "a User-Mode Linux guest",
	qemu: "an emulated guest"}[.backend]')"
if $client exec 'ping -c 1 -w 1 192.168.1.20' >/dev/null; then
	expect "server without a tunnel" "reachable" "unreachable"
else
	show "server without a tunnel" "unreachable"
fi

say "4. The client dials 198.51.100.10 as user api-client."
dial=$($client connect)
if [ "$(field "$dial" .ok)" != true ]; then
	show "refused" "$(field "$dial" .reason)"
	exit 1
fi
expect "tunnel address" "$(field "$dial" .address)" "10.8.0.10"
expect "authentication" "$(field "$dial" .auth)" "chap MS-v2"
expect "encryption" "MPPE $(field "$dial" .mppe)" "MPPE 128-bit stateless"
expect "name servers" "$(field "$dial" '.dns | join(" ")')" "8.8.8.8 8.8.4.4"
show "connected in" "$(field "$dial" .connect_ms) ms"

say "5. The client talks to the API server 192.168.1.20 through the tunnel."
ping=$($client ping 192.168.1.20)
expect "pings of 1,200 bytes" "$(field "$ping" .received) of $(field "$ping" .sent)" "20 of 20"
show "round trip" "$(field "$ping" .rtt_ms.avg) ms"
page=$($client fetch https://192.168.1.20/)
expect "HTTPS, port 443" "$(field "$page" .http)" 200
expect "the server saw" "$(field "$page" .body | jq -r .you)" "10.8.0.10"
transfer download https://192.168.1.20/bytes/50000000
transfer upload https://192.168.1.20/ --upload 50000000
closed=$($client fetch http://192.168.1.20/ --timeout 5)
if [ "$(field "$closed" .http)" = "" ]; then
	show "HTTP, port 80" "blocked (the firewall opens 443 only)"
else
	expect "HTTP, port 80" "answered" "blocked"
fi

say "6. The client hangs up; a second one tries with a wrong password."
quietly $client disconnect
wrong_password=$($client connect --password wrong)
if [ "$(field "$wrong_password" .address)" = "" ]; then
	show "wrong password" "refused: $(field "$wrong_password" .reason)"
else
	expect "wrong password" "accepted" "refused"
fi

say "7. The client dials once more, as a client that is told to stay connected: it asks the gateway
   for a sign of life every second, and dials again when three in a row stay out. It downloads."
dial=$($client connect -- persist maxfail 0 holdoff 1 lcp-echo-interval 1 lcp-echo-failure 3)
expect "tunnel address" "$(field "$dial" .address)" "10.8.0.10"
quietly $client exec 'curl -sk -o /dev/null https://192.168.1.20/bytes/99999999999 >/dev/null 2>&1 </dev/null & echo $! >/run/rc/curl'
sleep 2
expect "sessions on gw1" "$($lab status | jq -r .nodes.gw1.pptpd.sessions)" 1
before=$(moved gw1)
sleep 1
show "download" "$((($(moved gw1) - before) * 8 / 1000000)) Mbit/s"

say "8. gw1 loses its power: cables dead, programs gone, at once."
exec 3< <(exec $lab exec client tests/lab/probe.py "/run/${PHA_LAB_PREFIX:-pha}-lab/gw2" 02:00:00:00:01:02 60)
read -r _ <&3
cut=$($lab fail gw1 power)
show "cut at" "$(date -d "@$cut" +%T.%3N)"
read -r seen <&3
answers=$(field "$seen" .answers)
back=$(field "$seen" .session)
if [ -z "$answers" ] || [ -z "$back" ]; then
	expect "gw2 serves, client is back" "no: $seen" "within 60 s"
	exit 1
fi
roles "DEAD, null" "MASTER, active"
show "new MASTER serves after" "$(between "$cut" "$answers") ms"
show "client back after" "$(between "$cut" "$back") ms (nearly all of it is the client, noticing)"
again=$($client status)
for _ in 1 2 3 4 5 6 7 8 9 10; do
	[ "$(field "$again" .address)" = "" ] || break
	sleep 0.5
	again=$($client status)
done
expect "tunnel address" "$(field "$again" .address)" "10.8.0.10"
expect "encryption" "MPPE $(field "$again" .mppe)" "MPPE 128-bit stateless"
before=$(moved gw2)
for _ in $(seq 30); do
	sleep 0.5
	[ "$(moved gw2)" -le $((before + 1000000)) ] || break
done
if [ "$(moved gw2)" -gt $((before + 1000000)) ]; then
	show "the download from before" "goes on: conntrackd had told gw2 of it"
else
	show "the download from before" "did not go on"
fi
quietly $client exec 'kill $(cat /run/rc/curl)'
transfer download https://192.168.1.20/bytes/50000000
transfer upload https://192.168.1.20/ --upload 50000000

say "9. gw1 gets its power back."
quietly $lab heal gw1
for _ in $(seq 100); do
	[ "$($lab status | jq -r '.nodes.gw1 | .role + .pptpd.role')" != BACKUPstandby ] || break
	sleep 0.1
done
roles "BACKUP, standby" "MASTER, active"
show "" "It waits now; nothing moves back, and the client notices nothing."
expect "sessions on gw2" "$($lab status | jq -r .nodes.gw2.pptpd.sessions)" 1
quietly $client disconnect

if [ $wrong = 0 ]; then
	say "All of it as it should be. Removing the network again."
else
	say "Something was not as it should be: see above."
fi
exit $wrong
