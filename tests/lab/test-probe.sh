#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# hagent probe: what it says of our pair, of poptop in a guest, and of servers that are broken, each in
# its own way; that a page comes through the tunnel; that a held session measures a planned move.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/client.sh"
. "$(dirname "$0")/pair.sh"
table=$scratch/table
hagent=$build/hagent/hagent

# probe ARGUMENTS...: from the client's namespace, as api-client; JSON
probe() {
	on client env "PPTP_PASSWORD=${password-${static_user[3]}}" timeout 60 \
		"$hagent" --node gw1 --root "$(root gw1)" probe --json --user "${user-api-client}" "$@" </dev/null
}
# said JSON: where it ended and why
said() {
	field "$1" '"\(.step) \(.why)"'
}
# row NAME JSON: a line of the table that is printed at the end
row() {
	printf '%-14s %-18s %s\n' "$1" "$(said "$2")" "$(field "$2" .text)" >>"$table"
}
# check_says NAME WANT ARGUMENTS...
check_says() {
	local name=$1 want=$2 answer
	shift 2
	answer=$(probe "$@")
	row "$name" "$answer"
	check_eq "$name: $want" "$(said "$answer")" "$want"
}

# What each kind of broken.py must be taken for.
declare -A broken=(
	[Ssh]="start not-pptp" [Http]="start not-pptp" [Mute]="start silent" [Closes]="start closed"
	[Resets]="start reset" [RefusesStart]="start start-refused" [RefusesCall]="call call-refused"
	[CallMute]="call silent" [NoGreSocket]="lcp gre-refused" [NoPpp]="lcp no-link" [GreFiltered]="lcp gre-filtered"
	[GreOneWay]="lcp gre-one-way" [Elsewhere]="lcp gre-elsewhere" [WrongCall]="lcp gre-wrong-call" [Pap]="lcp auth-method"
	[Eap]="lcp auth-method" [NoAuth]="lcp auth-none" [NoChallenge]="auth auth-silent"
	[NoVerdict]="auth auth-silent" [WrongPassword]="auth password" [Disabled]="auth account"
	[FalseServer]="auth server-false" [RejectsMppe]="ccp mppe-refused" [FortyBits]="ccp mppe-weak"
	[CcpMute]="ccp mppe-silent" [PoolEmpty]="ipcp no-address" [IpcpMute]="ipcp ipcp")

# All at once, and beside the rest: most of them say nothing for a while.
begin_broken() {
	on client python3 -u "$top/tests/lab/broken.py" >"$scratch/kinds" 2>"$scratch/broken.err" &
	broken_pid=$!
	wait_for 10 grep -q IpcpMute "$scratch/kinds"
	# shellcheck disable=SC2016
	on client env PPTP_PASSWORD=secret bash -c 'while read -r kind address; do
			timeout 60 "$1" --node gw1 --root "$2" probe "$address" --json --user alice --timeout 3s \
				</dev/null >"$3/said.$kind" 2>&1 &
		done <"$3/kinds"; wait' - "$hagent" "$(root gw1)" "$scratch" &
	probes_pid=$!
}
end_broken() {
	local kind address answer
	wait "$probes_pid"
	kill "$broken_pid"
	while read -r kind address; do
		answer=$(cat "$scratch/said.$kind")
		row "$kind" "$answer"
		check_eq "broken: $kind" "$(said "$answer")" "${broken[$kind]}"
	done <"$scratch/kinds"
	check_eq "every kind was tried" "$(wc -l <"$scratch/kinds")" "${#broken[@]}"
}

# A firewall and routes of the client's own machine stand for those on the way.
test_way() {
	on client nft -f - <<-END
		table ip probe {
			chain out {
				type filter hook output priority 0
				ip daddr 127.0.2.1 tcp dport 1723 drop
				ip daddr 127.0.2.2 tcp dport 1723 reject with icmp type admin-prohibited
				ip daddr 127.0.2.3 tcp dport 1723 reject with icmp type host-unreachable
			}
		}
	END
	check_says "dropped" "tcp timeout" 127.0.2.1 --timeout 1s
	check_says "prohibited" "tcp prohibited" 127.0.2.2
	check_says "unreachable" "tcp unreachable" 127.0.2.3
	check_says "no listener" "tcp refused" 127.0.2.4
	check_says "no route" "tcp no-route" 203.0.113.1
	on client nft delete table ip probe
}

test_pair() {
	local answer
	answer=$(probe)
	row "our pair" "$answer"
	check_eq "the pair is sound" "$(said "$answer")" "done ok"
	check_eq "address, MPPE, MTU" "$(field "$answer" '"\(.address) \(.mppe) \(.largest)"')" \
		"10.8.0.10 128-bit stateless 1396"
	note "figure: up in $(field "$answer" .ms.up) ms, ping $(field "$answer" .ms.ping) ms"
	check_says "a page" "done ok" --http "https://$api/" --ca "$(root server)/etc/cert.pem"
	check_says "a false certificate" "http http-tls" --http "https://$api/"
	# Without a TUN interface there is no page, and that is said.
	answer=$(on client env "PPTP_PASSWORD=${static_user[3]}" unshare -m bash -c "mount --bind /dev/null /dev/net/tun &&
		$hagent --node gw1 --root $(root gw1) probe --json --user api-client --http https://$api/")
	row "no TUN" "$answer"
	check_eq "no TUN interface" "$(said "$answer")" "http no-namespace"
	check_says "no such server" "ping no-route-behind" --ping 192.168.1.99
	password=wrong check_says "wrong password" "auth password"
	answer=$(probe --all)
	row "--all" "$answer"
	check_eq "--all: what listens answers" "$(field "$answer" '[.targets[] | select(.found == "answers") |
		"\(.protocol) \(.port)"] | join(", ")')" "tcp 443, tcp 5201, udp 7000, icmp 0"
	check_eq "--all: what does not is refused" "$(field "$answer" '[.targets[] | select(.found == "refused") |
		"\(.protocol) \(.port)"] | join(", ")')" "tcp 7001, udp 5201"
	check "no session is left" wait_for 5 sessions gw1 0
	# Packets larger than the cable takes are lost without a word: both ends believe in 1,500 bytes.
	on client ip link set wan mtu 1300
	answer=$(probe)
	row "narrow cable" "$answer"
	check_eq "a narrow cable" "$(said "$answer")" "ping mtu"
	check "and what passes" jq -e '.largest > 1230 and .largest <= 1256' <<<"$answer"
	on client ip link set wan mtu 1500
}

# poptop and pppd on a kernel of their own, which started meanwhile.
poptop_files() {
	cat <<-'END'
		mkdir -p /etc/ppp && cd /etc
		printf 'option /etc/ppp/options.pptpd\nlocalip 10.9.0.1\nremoteip 10.9.0.10-20\n' >pptpd.conf
		printf 'name pptpd\nauth\nrequire-mschap-v2\nrequire-mppe-128\nms-dns 10.9.0.1\nmtu 1400\nmru 1400\n' >ppp/options.pptpd
		printf 'nodefaultroute\nlock\nnobsdcomp\nlcp-echo-interval 10\nlogfile /run/pppd.log\ndebug\n' >>ppp/options.pptpd
		printf 'alice pptpd secret *\n' >ppp/chap-secrets
		chmod 600 ppp/chap-secrets
		ip -o -4 addr show eth0 | sed 's/.*inet \([0-9.]*\).*/\1/'
		pptpd --conf /etc/pptpd.conf
	END
}
test_poptop() {
	local answer address user=alice password=secret
	wait "$guest_pid"
	address=$("$realclient" --name poptop exec "$(poptop_files)" | head -n 1)
	check_match "poptop runs in a guest" "$address" '^198\.18\.'
	wait_for 5 on client bash -c "exec 3<>/dev/tcp/$address/1723"
	answer=$(probe "$address" --timeout 8s)
	row "poptop" "$answer"
	check_eq "poptop is sound" "$(said "$answer")" "done ok"
	check_eq "poptop: address, MPPE, MTU" "$(field "$answer" '"\(.address) \(.mppe) \(.largest)"')" \
		"10.9.0.10 128-bit stateless 1396"
	note "figure: poptop up in $(field "$answer" .ms.up) ms, ping $(field "$answer" .ms.ping) ms"
	password=wrong check_says "poptop: wrong password" "auth password" "$address"
	user=nobody check_says "poptop: unknown user" "auth password" "$address"
	"$realclient" --name poptop exec "sed -i '/mppe/d;s/^require-mschap-v2/require-mschap-v2\nnomppe/' /etc/ppp/options.pptpd" >/dev/null
	check_says "poptop: no MPPE" "ccp mppe-refused" "$address" --timeout 8s
	"$realclient" --name poptop exec "sed -i 's/^require-mschap-v2/require-pap/' /etc/ppp/options.pptpd" >/dev/null
	check_says "poptop: PPP cannot start" "lcp no-link" "$address" --timeout 8s
	"$realclient" --name poptop exec "cp /etc/ppp/chap-secrets /etc/ppp/pap-secrets" >/dev/null
	check_says "poptop: PAP" "lcp auth-method" "$address" --timeout 8s
}

test_held() {
	local answer pid
	probe --for 4s --interval 20ms >"$scratch/held" &
	pid=$!
	sleep 1
	check "a planned move under the held session" agent gw1 switchover
	wait "$pid"
	answer=$(cat "$scratch/held")
	row "held" "$answer"
	check_eq "it lives on" "$(said "$answer") $(field "$answer" '.held.lost_session | tostring')" "done ok false"
	note "figure: held $(field "$answer" '.held | "\(.sent) pings, \(.lost) lost, longest gap \(.gap_ms_max) ms"')"
	check "without an answer for less than 2 s" jq -e '.held.received > 100 and .held.gap_ms_max < 2000' <<<"$answer"
	check_eq "for as long as it was told" "$(field "$answer" .held.for_ms)" 4000
}

need_lab --advert "${ADVERT:-0.02}"
"$realclient" --name poptop start --backend uml >"$scratch/guest" 2>&1 &
guest_pid=$!
check "gw1 serves, gw2 stands by" settled gw1
begin_broken
test_pair
test_way
end_broken
test_poptop
test_held
printf '# %s\n' "what it said:"
sed 's/^/# /' "$table"
