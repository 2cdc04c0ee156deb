#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Bad input and faults: noise on TCP/1723, a thousand silent connections, users that must be refused, an
# exhausted pool, an address wanted twice, and an engine that dies. The others are served, and one clear
# log line says what happened.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/client.sh"

# logged TEXT: how often the daemon's log has it since the last mark
logged() {
	log gw1 | tail -n +$((log_mark + 1)) | grep -cE "$1"
}
mark_log() {
	log_mark=$(log gw1 | wc -l)
}
# check_logged NAME REGEX TIMES
check_logged() {
	local n
	wait_for 3 test_logged "$2"
	n=$(logged "$2")
	if [ "$n" = "$3" ]; then
		ok "$1"
	else
		not_ok "$1" "want $3 lines /$2/, got $n in:" "$(log gw1 | tail -n +$((log_mark + 1)) | tail -n 8)"
	fi
}
test_logged() {
	[ "$(logged "$1")" -gt 0 ]
}
half_open_is() {
	[ "$(agent gw1 pptpd status | jq .half_open)" = "$1" ]
}
connections_are() {
	[ "$(agent gw1 pptpd status | jq .control_connections)" = "$1" ]
}
# reconfigure FILE SED-PROGRAM: change one of gw1's files, and have it read
reconfigure() {
	sed -i "$2" "$(root gw1)/etc/$1" && agent gw1 pptpd reload >/dev/null
}
gone() {
	! kill -0 "$1" 2>/dev/null || [ "$(awk '{print $3}' "/proc/$1/stat" 2>/dev/null)" = Z ]
}

need_lab --single --users 20
build_client
engine=$(engine_pid)
mark_log

# ---- noise on TCP/1723 ----

# Each kind 20 times: the server must end the connection by itself, or take the end of it from us.
cat >"$scratch/noise.py" <<'PYTHON'
import json, os, random, socket, struct, sys

random.seed(7)
MAGIC = 0x1A2B3C4D

def message(kind, body, length=None, magic=MAGIC, message_type=1):
    return struct.pack("!HHIHH", length if length is not None else 12 + len(body), message_type, magic, kind, 0) + body

START = message(1, struct.pack("!HHIIHH", 0x0100, 0, 3, 3, 0, 1) + b"noise".ljust(64, b"\0") + b"noise".ljust(64, b"\0"))
CALL = message(7, struct.pack("!HHIIIIHHHH", 7, 1, 2400, 10000000, 3, 3, 64, 0, 0, 0) + bytes(64) + bytes(64))

# name: (bytes, whether the server must close the connection at once)
KINDS = {
    "http": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", True),
    "zeros": (bytes(400), True),
    "ones": (b"\xff" * 400, True),
    "random": (lambda: os.urandom(random.randint(16, 4000)), True),
    "bad magic": (message(1, START[12:], magic=MAGIC + 1), True),
    "management message": (message(1, START[12:], message_type=2), True),
    "too long for its type": (message(1, START[12:] + b"\0" * 8), True),
    "too short for its type": (message(1, START[12:-4]), True),
    "length zero": (message(1, START[12:], length=0), True),
    "length 65535": (message(5, bytes(4), length=65535), True),
    "noise after a good start": (lambda: START + os.urandom(300), True),
    "noise inside a call": (lambda: START + CALL + os.urandom(300), True),
    "half a message": (START[:77], False),
    "call before start": (CALL, False),
    "unknown type": (START + message(99, bytes(20)), False),
    "one byte": (b"\0", False),
}
wrong = []
for name, (data, must_close) in KINDS.items():
    for i in range(20):
        with socket.create_connection((sys.argv[1], 1723), timeout=5) as s:
            s.settimeout(5)
            try:
                s.sendall(data() if callable(data) else data)
                if must_close:
                    while s.recv(4096):
                        pass
            except (ConnectionResetError, BrokenPipeError):
                pass
            except TimeoutError:
                wrong.append(name)
                break
print(json.dumps(wrong))
PYTHON
wrong=$(on client timeout 100 python3 "$scratch/noise.py" $vip 2>&1)
check_eq "noise on TCP/1723: every such connection is closed at once" "$wrong" "[]"
check_eq "each is counted" "$(status .totals.control_malformed)" 240
check_between "and logged, but not without limit" "$(logged 'malformed control message peer=198.51.100.100')" 1 60
check "all of them are gone" wait_for 5 connections_are 0
check_client "a good client is served" "${static_user[@]}" --ping $api --count 10 --rate 50
check_eq "by the same engine" "$(engine_pid)" "$engine"

# ---- silence ----

check_client "a client alone" "${any_user[@]}" --sessions 20 --parallel 1
alone=$(r .setup_ms.total.p99)
wait_for 5 connections_are 0
on client timeout 60 "$pptp_client" --server $vip --silent 1000 --source 198.18.1.1-198.18.1.250 --hold 14 \
    >"$scratch/silent.json" 2>"$scratch/silent.err" &
silent=$!
check "1,000 silent connections stand" wait_for 5 half_open_is 1000
check_client "good clients are served beside them" "${any_user[@]}" --sessions 20 --parallel 1 --ping $api --count 5
note "set-up ms, p99 of 20: alone $alone, beside 1,000 silent connections $(r .setup_ms.total.p99)"
check_between "and not delayed" "$(r '.setup_ms.total.max | ceil')" 0 200
wait $silent
check_eq "the silent ones are closed after stimeout" "$(jq -c '[.opened, .closed_by_peer]' "$scratch/silent.json")" "[1000,1000]"

# More of them than half-open allows: newcomers push the oldest out.
check "half-open 100" reconfigure pptpd.conf '$a half-open 100'
on client timeout 60 "$pptp_client" --server $vip --silent 1000 --hold 3 >"$scratch/silent.json" 2>"$scratch/silent.err" &
silent=$!
check "of 1,000 silent connections 100 are kept" wait_for 5 half_open_is 100
check_client "and a good client is served" "${static_user[@]}" --ping $api --count 10 --rate 50
wait $silent
wait_for 15 connections_are 0

# ---- who must be refused ----

mark_log
check_refused "wrong password" auth-failed --user api-client --password wrong
check_eq "  the client is told 691" "$(r .chap_error)" 691
check_logged "  one log line gives the reason" 'login refused user="api-client" .*wrong password \(MS-CHAPv2 error 691\)' 1
mark_log
check_refused "unknown user" auth-failed --user nobody --password nothing
check_eq "  the client is told the same 691" "$(r .chap_error)" 691
check_logged "  one log line gives the reason" 'login refused user="nobody" .*unknown user \(MS-CHAPv2 error 691\)' 1
mark_log
check_refused "no MPPE" mppe-refused "${static_user[@]}" --no-mppe
check_logged "  one log line gives the reason" 'user="api-client".*reason=no-mppe' 1
mark_log
check_refused "PAP only" auth-refused "${static_user[@]}" --pap-only
check_logged "  one log line gives the reason" 'reason=auth-refused' 1
check_eq "no session of them is left" "$(agent gw1 pptpd status | jq .sessions)" 0

# ---- addresses ----

pool=$(sed -n 's/^remoteip //p' "$(root gw1)/etc/pptpd.conf")
check "a pool of three addresses" reconfigure pptpd.conf 's/^remoteip .*/remoteip 10.8.0.2-4/'
mark_log
client "${any_user[@]}" --sessions 5 --ping $api --count 20 --rate 20 --per-session
check_eq "pool exhausted: three of five come up" "$(r .connected)" 3
check_eq "  the others are told" "$(r '.reasons | tostring')" '{"no-address":2}'
check_eq "  and those that are up lose nothing" "$(r .traffic.ping.lost)" 0
check_logged "  one log line each gives the reason" 'login refused user="u[0-9]" .*reason="pool exhausted"' 2
wait_for 5 has_sessions 0
check_client "  its addresses are free again" "${any_user[@]}" --sessions 3 --ping $api --count 3
reconfigure pptpd.conf "s/^remoteip .*/remoteip $pool/"

printf '"first"\tpptpd\tpf\t10.8.0.77\n"second"\tpptpd\tps\t10.8.0.77\n' >>"$(root gw1)/etc/ppp/chap-secrets"
agent gw1 pptpd reload >/dev/null
mark_log
on client timeout 30 "$pptp_client" --server $vip --user first --password pf --ping $api --rate 20 --hold 4 \
    >"$scratch/first.json" 2>"$scratch/first.err" &
first=$!
wait_for 5 has_sessions 1
check_refused "an address wanted twice: the second user is refused" no-address --user second --password ps
check_logged "  one log line gives the reason" \
    'login refused user="second" .*reason="address 10.8.0.77 is taken by user first \(call [0-9]+\)"' 1
if wait $first; then
	ok "  and the first is not disturbed"
else
	not_ok "  and the first is not disturbed" "$(cat "$scratch/first.json")"
fi
wait_for 5 has_sessions 0
mark_log
on client timeout 30 "$pptp_client" --server $vip --user first --password pf --hold 8 >"$scratch/first.json" 2>&1 &
first=$!
wait_for 5 has_sessions 1
check_client "the same user again takes over" --user first --password pf --ping $api --count 20 --rate 50
check_logged "  one log line says so" 'session replaced user="first" address=10.8.0.77' 1
check_fails "  and the older session has ended" wait $first
wait_for 5 has_sessions 0

# ---- an engine that dies ----

check_eq "all this by the engine that was started" "$(engine_pid)" "$engine"
monitor=$(field "$("$lab" status)" .nodes.gw1.pptpd.monitor)
on client timeout 60 "$pptp_client" --server $vip "${static_user[@]}" --redial --ping $api --rate 20 --hold 12 \
    --max-loss 1000 >"$scratch/redial.json" 2>"$scratch/redial.err" &
redial=$!
wait_for 5 has_sessions 1
kill -KILL "$engine"
check "the engine killed: the monitor goes too" wait_for 5 gone "$monitor"
check_eq "no process of the daemon is left" \
    "$(on gw1 sh -c 'for p in $(ip netns pids $(ip netns identify)); do cat /proc/$p/comm 2>/dev/null; done' | grep -c pptpd)" 0
on gw1 "$build/pptpd/pptpd" --node gw1 --root "$(root gw1)" --role standby --user nobody \
    >>"$(root gw1)/var/log/pptpd.log" 2>&1 &
check "it starts again" wait_for 10 agent gw1 pptpd status
check "and serves" agent gw1 pptpd promote
if wait $redial; then
	ok "the client redials and its traffic goes on"
else
	not_ok "the client redials and its traffic goes on" "$(cat "$scratch/redial.json" "$scratch/redial.err")"
fi
note "$(jq -r '"longest gap \(.traffic.gap_ms.max) ms, lost \(.traffic.ping.lost) of \(.traffic.ping.sent)"' "$scratch/redial.json")"
check_eq "  with one redial or more" "$(jq '.redials > 0 and .lost == 0' "$scratch/redial.json")" true
check "the session's end leaves nothing behind" wait_for 5 has_sessions 0
check_eq "  no call of the dead engine in the firewall" \
    "$(on gw1 nft -j list set inet pptp_ha calls | jq '[.nftables[] | .set?.elem // [] | length] | add')" 0
check_eq "  no host route" "$(on gw1 ip -o route show dev pppha0 2>/dev/null | grep -c '^10\.8\.')" 0
