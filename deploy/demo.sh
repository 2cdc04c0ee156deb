#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# deploy/demo.sh: from a clean clone to a client's HTTPS transfer through an encrypted tunnel. Installs
# what is missing, builds, sets up two gateways, a client and a server on this machine, each in a
# network namespace of its own, and tells what the client sees. Removes all of it at the end. Exit
# status 0 = everything was as it should be.
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
	[ $status = 0 ] || sed 's/^/    gw1 | /' "$logs/gw1/pptpd.log" 2>/dev/null | tail -n 20
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
status=$($lab status)
show "virtual address" "198.51.100.10 (the one that clients know)"
expect "gw1" "$(field "$status" .nodes.gw1.role), $(field "$status" .nodes.gw1.pptpd.role)" "MASTER, active"
expect "gw2" "$(field "$status" .nodes.gw2.role), $(field "$status" .nodes.gw2.pptpd.role)" "BACKUP, standby"

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
for way in download upload; do
	if [ $way = download ]; then
		move=$($client fetch https://192.168.1.20/bytes/50000000)
	else
		move=$($client fetch https://192.168.1.20/ --upload 50000000)
	fi
	expect "HTTPS $way" "$(field "$move" .bytes) bytes" "50000000 bytes"
	show "" "$(field "$move" .seconds) s, $(field "$move" .mbit_s) Mbit/s"
done
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

if [ $wrong = 0 ]; then
	say "All of it as it should be. Removing the network again."
else
	say "Something was not as it should be: see above."
fi
exit $wrong
