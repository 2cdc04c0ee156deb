#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The status page's server: what it tells agrees with the daemon and with what clients did, its metrics move as
# they should, crowds and nonsense cost nobody but themselves, and beyond the machine it wants token and TLS.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/client.sh"
. "$(dirname "$0")/pair.sh"
crowd=$top/tests/lab/web_clients.py

# in_node NODE COMMAND...: without the time that `lab exec` takes
in_node() {
	ip netns exec "${PHA_LAB_PREFIX:-pha}-$1" "${@:2}"
}
# get NODE PATH [OPTION of curl...]: the body
get() {
	in_node "$1" curl -sS -m 8 "${@:3}" "http://127.0.0.1:9723$2"
}
# code NODE PATH [OPTION of curl...]: the status
code() {
	get "$1" "$2" -o /dev/null -w '%{http_code}' "${@:3}"
}
has_code() {
	[ "$(code "$1" "$2")" = "$3" ]
}
# metric NODE NAME[{LABELS}]: its value now
metric() {
	get "$1" /metrics | awk -v name="$2" '$1 == name { print $2 }'
}
is_metric() {
	[ "$(metric "$1" "$2")" = "$3" ]
}
# at_least NODE NAME VALUE
at_least() {
	awk -v a="$(metric "$1" "$2")" -v b="$3" 'BEGIN { exit !(a >= b) }'
}
listed() {
	[ "$(get gw1 /api/sessions | jq .total)" = "$1" ]
}
# slowest_check SECONDS: hagent check of gw1, again and again; the longest in ms
slowest_check() {
	in_node gw1 bash -c '
		end=$((SECONDS + $1)) worst=0
		while [ $SECONDS -lt $end ]; do
			from=${EPOCHREALTIME/./}
			"$2" --node gw1 --root "$3" check >/dev/null || echo "unfit"
			took=$((${EPOCHREALTIME/./} - from))
			[ $took -le $worst ] || worst=$took
		done
		echo $((worst / 1000))' - "$1" "$programs/hagent/hagent" "$(root gw1)" | tail -n 1
}

need_lab --users 20 --advert 0.2
build_client

# ---- who it is, and who may ask the agent ----
web=$(lab_status .nodes.gw1.processes.web)
check_eq "it runs as the pair's user" "$(ps -o user= -p "$web")" pptp-ha
check_eq "without any capability" "$(sed -n 's/^Cap\(Prm\|Eff\|Inh\|Amb\):[[:space:]]*//p' "/proc/$web/status" | sort -u)" 0000000000000000
check_eq "the agent's socket is for the pair's group alone" "$(stat -c '%a %U %G' "$(root gw1)/run/pptp-ha/status.sock")" "660 root pptp-ha"
check_eq "/healthz" "$(get gw1 /healthz)" ok
for node in gw1 gw2; do
	check_eq "$node: /api/status says what hagent status says" \
	    "$(get $node /api/status | jq -c '[.node, .role, .epoch, .vip, .safety.level]')" \
	    "$(agent $node status --json | jq -c --arg l safe '[.node, .role, .epoch, .vip, $l]')"
	check_eq "$node: promtool check metrics" "$(get $node /metrics | promtool check metrics 2>&1)" ""
done
check_match "the page is there without JavaScript" "$(get gw1 /)" 'gw2'
check_match "it comes with a policy that lets nothing in" \
    "$(get gw1 / -D - -o /dev/null)" "default-src 'none'.*script-src 'self'"

# ---- sessions and metrics: a scenario ----
check_client "20 clients, each sends 50 packets" "${any_user[@]}" --sessions 20 --ping $api --count 50 --rate 500 --hold 0
check "20 set-ups were counted" wait_for 4 is_metric gw1 pptp_ha_session_setups_total 20
check_eq "each with its time" "$(metric gw1 pptp_ha_session_setup_seconds_count)" 20
check "their packets were counted" at_least gw1 pptp_ha_tunnel_receive_packets_total 1000
check "and the answers" at_least gw1 pptp_ha_tunnel_transmit_bytes_total 84000
check "and none of them is left" wait_for 4 is_metric gw1 pptp_ha_sessions 0
client --user api-client --password wrong
check "a wrong password is a failure with that reason" \
    wait_for 4 is_metric gw1 'pptp_ha_session_failures_total{reason="auth-failed"}' 1
start_client "${any_user[@]}" --sessions 20
check "20 sessions are listed" wait_for 8 listed 20
check_eq "sorted by name, downwards, in pages" \
    "$(get gw1 '/api/sessions?sort=user&order=desc&limit=3' | jq -c '[.sessions[].user], .next' | tr -d '\n')" '["u9","u8","u7"]3'
check_eq "a search finds what it should" \
    "$(get gw1 '/api/sessions?q=U1&sort=user' | jq -c '[.sessions[].user]')" \
    "$(jq -cn '[range(20) | "u\(.)" | select(startswith("u1"))] | sort')"
check "each agrees with the daemon's own list" diff \
    <(get gw1 '/api/sessions?sort=call' | jq -c '.sessions[] | [.call, .user, .address]') \
    <(agent gw1 sessions --json | jq -c 'sort_by(.call)[] | [.call, .user, .address]')
check "no session is at risk" wait_for 5 is_metric gw1 pptp_ha_replica_sessions_at_risk 0
check_eq "a query that is none gets a reason" "$(get gw1 '/api/sessions?limit=many' | jq -r .error.message)" \
    'limit: got "many", want 1..1000'

probed() {
	PPTP_PASSWORD=${static_user[3]} agent gw2 probe --user "${static_user[1]}" "$@" >"$scratch/probe"
}
probed --all --json
check "a probe of the pair: its results are metrics" wait_for 4 is_metric gw2 'pptp_ha_probe_ok{api="session"}' 1
check_eq "those of each API, too" \
    "$(get gw2 /metrics | sed -n 's/^pptp_ha_probe_ok{api="\([^"]*\)"} \(.\)$/\1=\2/p' | sort | tr '\n' ' ')" \
    "$(jq -r '[{name: "session", ok: .ok}, .targets[]] | group_by(.name)[] | "\(.[0].name)=\(if .[0].name == "session" or all(.ok) then 1 else 0 end)"' "$scratch/probe" | sort | tr '\n' ' ')"
PPTP_PASSWORD=wrong agent gw2 probe --user "${static_user[1]}" >/dev/null
check "without a session none is reached" wait_for 4 eval '[ "$(get gw2 /metrics | grep -c "^pptp_ha_probe_ok.* 1$")" = 0 ]'

# ---- nonsense ----
in_node gw1 "$crowd" malformed >"$scratch/malformed"
check_eq "nonsense is refused" "$(grep -cE ': (HTTP/1.1 (4|50)|closed)' "$scratch/malformed")" \
    $(($(wc -l <"$scratch/malformed") - 3))
check_eq "but what can be understood is answered, once" "$(grep ' 200 ' "$scratch/malformed" | cut -d: -f1 | tr '\n' ,)" \
    "NUL in a header,absolute,two requests,"
check_eq "a page elsewhere cannot make a browser ask" "$(code gw1 /healthz -H 'Host: rebound.example')" 403

# ---- crowds ----
moves=$(metric gw1 pptp_ha_epoch)
note "figure: hagent check without them, slowest of 2 s: $(slowest_check 2) ms"
hung=$(lab_status .nodes.gw2.processes.agent)
kill -STOP "$hung"
in_node gw1 "$crowd" dribble 200 17 >"$scratch/dribble" &
crowds=$!
in_node gw1 "$crowd" idle 1000 6 >"$scratch/idle" &
crowds+=" $!"
in_node gw1 "$crowd" unread 200 6 >"$scratch/unread" &
crowds+=" $!"
background+=($crowds)
wait_for 10 grep -q ready "$scratch/idle"
slowest_check 4 >"$scratch/slowest" &
slow=$!
answered=$(in_node gw1 "$crowd" load 300)
check_eq "with 1,400 bad clients every good one is answered" "$answered" 300
check_eq "and so is /healthz" "$(get gw1 /healthz)" ok
wait $slow
check_between "hagent check does not feel it" "$(cat "$scratch/slowest")" 0 500
note "figure: hagent check under 1,400 bad clients and 300 good ones, slowest $(cat "$scratch/slowest") ms"
check_eq "nor does the role" "$(metric gw1 pptp_ha_epoch)" "$moves"
# With a sanitizer it is ten times as much.
check "the server's memory stays small" awk -v b="$(metric gw1 process_resident_memory_bytes)" 'BEGIN { exit !(b < 256e6) }'
note "figure: its memory $(metric gw1 process_resident_memory_bytes) bytes, processor $(metric gw1 process_cpu_seconds_total) s"

# ---- an agent that hangs: that of gw2, meanwhile ----
check "the agent hangs: /api/status says so" wait_for 8 has_code gw2 /api/status 503
check_eq "with the last that is known" "$(get gw2 /api/status | jq -c '[.agent, .status.node]')" '["silent","gw2"]'
check_eq "and the page is still there" "$(code gw2 /)" 200
check "as for /healthz, after some seconds" wait_for 8 has_code gw2 /healthz 503
check_eq "and for the metrics" "$(get gw2 /metrics | grep -E '^pptp_ha_(agent_up|sessions|fit) ')" "pptp_ha_agent_up 0"
kill -CONT "$hung"
check "it goes on: all is as before" wait_for 8 has_code gw2 /healthz 200

# ---- a move ----
check "the pair settles" wait_for 15 settled gw1
before=$(metric gw2 pptp_ha_tunnel_receive_bytes_total)
check "gw1 hands over" agent gw1 switchover
check "after a move gw2 has continued 20 sessions" wait_for 8 is_metric gw2 pptp_ha_sessions_continued_total 20
check "its role is a metric" wait_for 5 is_metric gw2 'pptp_ha_role{role="active"}' 1
check "and the transition" wait_for 5 is_metric gw2 'pptp_ha_transitions_total{kind="MASTER",result="done"}' 1
check "what passed through gw1 is not counted again" awk -v a="$before" -v b="$(metric gw2 pptp_ha_tunnel_receive_bytes_total)" \
    'BEGIN { exit !(b >= a && b - a < 100000) }'
stop_client

# ---- beyond the machine ----
far=$scratch/far
mkdir -p "$far/etc/pptp-ha" "$far/run"
ln -s "$(root gw2)/run/pptp-ha" "$far/run/pptp-ha"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$far/etc/key.pem" -out "$far/etc/cert.pem" \
    -days 2 -subj /CN=gw2 -addext subjectAltName=IP:192.168.1.3 2>/dev/null
token=$(openssl rand -hex 32)
install -m 644 /dev/stdin "$far/etc/token" <<<"$token"
grep -v '^management' "$(root gw2)/etc/pptp-ha/cluster.conf" >"$far/etc/pptp-ha/cluster.conf"
cat >>"$far/etc/pptp-ha/cluster.conf" <<'END'
management { networks = { 192.168.1.0/24 }   tcp-ports = { 9724 }   web-address = lan:9724
	web-token-file = /etc/token   web-certificate = /etc/cert.pem   web-key = /etc/key.pem }
END
chmod 755 "$scratch" "$far" "$far/etc" "$far/etc/pptp-ha"
far_web() {
	in_node gw2 "$programs/hagent/hagent" --node gw2 --root "$far" web
}
check_match "a token that everybody may read is refused" "$(far_web 2>&1)" 'want mode 0600'
chmod 600 "$far/etc/token" "$far/etc/key.pem"
(exec ip netns exec "${PHA_LAB_PREFIX:-pha}-gw2" "$programs/hagent/hagent" --node gw2 --root "$far" web) >"$scratch/far.log" 2>&1 &
background+=($!)
# away PATH [OPTION of curl...]
away() {
	in_node gw2 curl -s -m 8 --cacert "$far/etc/cert.pem" "${@:2}" "https://192.168.1.3:9724$1"
}
away_code() {
	away "$1" -o /dev/null -w '%{http_code}' "${@:2}"
}
check "without the token it tells nothing" wait_for 5 eval '[ "$(away_code /healthz)" = 401 ]'
check_eq "a wrong one does not help" "$(away_code /api/status -H "Authorization: Bearer ${token%?}x")" 401
check_eq "with it, as Bearer" "$(away /healthz -H "Authorization: Bearer $token")" ok
check_eq "with it, as a password" "$(away_code / -u "anybody:$token")" 200
check_eq "and the metrics are the same" "$(away /metrics -u "x:$token" | promtool check metrics 2>&1)" ""
check_fails "without TLS it does not speak" in_node gw2 curl -sf -m 5 -u "x:$token" http://192.168.1.3:9724/healthz
check_fails "nor with an old TLS" away /healthz --tls-max 1.1 -f -u "x:$token"
check_eq "the token is not in its log" "$(grep -c "$token" "$scratch/far.log")" 0

wait $crowds
check_eq "who dribbles is cut off" "$(tail -n 1 "$scratch/dribble")" 200
