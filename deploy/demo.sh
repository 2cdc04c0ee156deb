#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# deploy/demo.sh: from a clean clone to a client's TCP connection through an encrypted tunnel that goes on
# when the gateway that carried it dies, and once more when the other one dies. Installs what is missing,
# builds, sets up two gateways, a client and a server on this machine, each in a network namespace of its
# own, and tells what the client sees. Removes all of it at the end. Exit status 0 = all was as it should be.
set -u
cd "$(dirname "$0")/.." || exit 1
top=$PWD
build=build
lab=$top/tests/lab/lab
client=$top/tests/realclient/realclient
realclient=$client
api=192.168.1.20
logs=$(mktemp -d)
scratch=$logs
background=()
wrong=0
. tests/lab/takeover.sh

note() {
	:
}

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

# transfer WAY ARGUMENTS of fetch...
transfer() {
	local way=$1 move
	shift
	move=$($client fetch "$@")
	expect "HTTPS $way" "$(field "$move" .bytes) bytes" "50000000 bytes"
	show "" "$(field "$move" .seconds) s, $(field "$move" .mbit_s) Mbit/s"
}

# until_true SECONDS COMMAND...
until_true() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.05
	done
}

is_active() {
	[ "$(field "$($lab status)" ".nodes.$1.pptpd.role")" = active ]
}

# holds_copy NODE: the other gateway could continue all of its sessions
holds_copy() {
	$lab exec "$1" build/hagent/hagent --node "$1" --root "/run/${PHA_LAB_PREFIX:-pha}-lab/$1" status --json |
	    jq -e '.replica.in_step and .replica.at_risk == 0'
}

is_backup() {
	[ "$(field "$($lab status)" ".nodes.$1.role")" = BACKUP ]
}

# cut_power NODE OTHER: the gateway that serves loses its power; what the client sees
cut_power() {
	local who moment
	who=$(identity)
	stream_say mark mark
	sleep 1
	moment=$($lab fail "$1" power)
	show "cut at" "$(date -d "@$moment" +%T.%3N)"
	until_true 20 is_active "$2"
	sleep 2
	stream_say figures figures
	expect "the TCP connection" "$(field "$answer" '"\(.connections) connection, alive \(.alive), answering \(.answering)"')" \
	    "1 connection, alive true, answering true"
	show "longest gap in it" "$(field "$answer" .gap_ms) ms"
	expect "the client" "$(identity)" "$who"
	show "" "the same process, the same ppp unit: it noticed nothing."
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

say "7. The client dials once more, with no option to dial again, and opens one TCP connection
   through the tunnel: a message every 5 ms, which comes back."
dial=$($client connect)
expect "tunnel address" "$(field "$dial" .address)" "10.8.0.10"
start_stream
until_true 10 holds_copy gw1 && show "gw2 holds" "a copy of the session: keys, numbers, TCP state"
show "the client is" "$(identity)"

say "8. gw1 loses its power: cables dead, programs gone, at once."
cut_power gw1 gw2
roles "DEAD, null" "MASTER, active"

say "9. gw1 gets its power back. It waits; nothing moves back. gw2 tells it of the session."
quietly $lab heal gw1
until_true 20 is_backup gw1
until_true 20 holds_copy gw2 && show "gw1 holds" "a copy of the session"
roles "BACKUP, standby" "MASTER, active"

say "10. Now gw2 loses its power."
cut_power gw2 gw1
roles "MASTER, active" "DEAD, null"
quietly stop_stream
transfer download https://192.168.1.20/bytes/50000000
transfer upload https://192.168.1.20/ --upload 50000000
quietly $client disconnect

if [ $wrong = 0 ]; then
	say "All of it as it should be. Removing the network again."
else
	say "Something was not as it should be: see above."
fi
exit $wrong
