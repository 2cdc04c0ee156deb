# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the scripts that measure takeovers share; comes after lib.sh, client.sh and pair.sh.
#
# Load: start_load runs pptp-client with --strict and --commands; load_say gives it a command,
# load_answer waits for the line of JSON that answers it (see tests/client/commands.h).
#
# takeover METHOD [standby] is one fault under load: a mark, the fault on the active (or on the
# standby), the other node serves, the window ends, the fault is healed, and the pair is whole again.
# Its figures go to $window, to one line of the table, and to $results, one object of JSON a line.
#
# Captures: start_capture sees at the WAN switch what both gateways send, so that a gateway's death
# does not end it; check_capture decrypts it with the client's key log (tests/keycheck).
#
# A real client: start_stream has a pppd client echo a small stream over one TCP connection
# (stream.py), start_iperf runs iperf3 in the tunnel; identity tells which pppd, pptp and ppp unit it is.
# shellcheck shell=bash
key_check=$build/tests/keycheck/key-check
results=$scratch/results
keylog=$scratch/keys
capture=$scratch/capture.pcap
# Seconds of quiet load before a fault, and after the other node serves.
before_s=${BEFORE_S:-1}
after_s=${AFTER_S:-4}

# did NAME COMMAND...: as check, but in this shell, so that what the command sets stays
did() {
	local name=$1
	shift
	if "$@"; then
		ok "$name"
	else
		not_ok "$name" "$*"
	fi
}

build_tools() {
	local output
	if ! output=$(cmake --build "$build" --target pptp-client key-check 2>&1); then
		not_ok "pptp-client and key-check build" "${output: -2000}"
		exit 1
	fi
}

# ---- load ----

# The client runs before others: what measures must not be what is late. How late it was is in each row.
# start_load SESSIONS RATE [OPTIONS of pptp-client]: RATE 0 = idle, with the echoes that OPTIONS ask for
start_load() {
	local sessions=$1 rate=$2 traffic=()
	shift 2
	[ "$rate" = 0 ] || traffic=(--ping $api --rate "$rate" --size 32)
	coproc load {
		exec "$lab" exec client nice -n -10 "$pptp_client" --server $vip "${any_user[@]}" --sessions "$sessions" \
		    --source 198.18.1.1-198.18.60.254 --strict --commands --keylog "$keylog" --hold 1000000 \
		    --max-loss 1000000000000 "${traffic[@]}" "$@" 2>"$scratch/load.err"
	}
	load_pid=$!
	# Copies: the shell closes its own as soon as the client ends.
	exec {load_in}>&"${load[1]}" {load_out}<&"${load[0]}"
	background+=("$load_pid")
	load_sessions=$sessions
	load_answer ready 120
	[ "$(field "$answer" .connected)" = "$sessions" ] || note "$(sort "$scratch/load.err" | sed 's/.*reason=//' | sort | uniq -c | sort -rn | head -5)"
}
load_say() {
	printf '%s\n' "$1" >&"$load_in"
}
# load_answer EVENT [SECONDS]: its line, in $answer
load_answer() {
	local end=$((SECONDS + ${2:-30}))
	while read -r -t $((end > SECONDS ? end - SECONDS : 1)) answer <&"$load_out"; do
		case $(field "$answer" .event) in
		"$1") return 0 ;;
		refused) note "the client refuses: $answer" ;;
		esac
	done
	answer=
	return 1
}
# stop_load: the client's report goes to $report
stop_load() {
	local line
	load_say quit
	: >"$report"
	while read -r -t 30 line <&"$load_out"; do
		printf '%s\n' "$line" >"$report"
	done
	exec {load_in}>&- {load_out}<&-
	wait "$load_pid" 2>/dev/null
	[ "$(r 'has("ok")')" = true ]
}
# load_up: sessions that are up
load_up() {
	load_say status && load_answer status && field "$answer" .up
}

# ---- one fault ----

# in_step NODE: its standby holds a whole copy; true as well for a daemon that knows of none
in_step() {
	agent "$1" pptpd status | jq -e '(.replica // .data.replica) as $r | $r == null or $r.in_step' >/dev/null
}
# whole ACTIVE: both are in their places, and the standby could take over
whole() {
	settled "$1" && in_step "$1"
}

table_head() {
	printf '# %-22s %5s  %-31s %-15s %5s %5s %8s %7s %7s %5s  %s\n' fault up "gap ms min/median/p99/max" \
	    "beyond med/mean" lost again packets missing numbers keys "client late"
}
# table_row NAME: of $window
table_row() {
	jq -r --arg name "$1" '
	    def n: if . == null then "-" else . * 10 | round / 10 | tostring end;
	    [$name, .up, ([.gap_ms.min, .gap_ms.median, .gap_ms.p99, .gap_ms.max] | map(n) | join("/")),
	     ([.beyond_ms.median, .beyond_mean_ms] | map(n) | join("/")), .lost, .redials, .packets_sent,
	     .packets_lost, (.numbers_jumped.max // 0), (.keys_jumped.max // 0),
	     ([.own_lateness_ms.send, .own_lateness_ms.receive] | map(round | tostring) | join("/"))] | @tsv' <<<"$window" |
	    while IFS=$'\t' read -r -a v; do
		printf '# %-22s %5s  %-31s %-15s %5s %5s %8s %7s %7s %5s  %s\n' "${v[@]}"
	    done
}

# takeover METHOD [standby]: fails if the pair did not come through; losses are in $window
takeover() {
	local method=$1 active victim server ok=0 name="$1${2:+ ($2)}"
	active=$(master)
	victim=$active
	server=$active
	if [ -n "${2:-}" ]; then
		victim=$(other "$active")
	else
		server=$(other "$active")
	fi
	load_say "mark $method" && load_answer mark || return 1
	sleep "$before_s"
	fault "$victim" "$method"
	if ! wait_for 20 is_role "$server" "MASTER active vip"; then
		note "$name: $server does not serve: $(role "$server")"
		ok=1
	fi
	sleep "$after_s"
	load_say window && load_answer window || return 1
	window=$answer
	jq -c --arg fault "$name" --arg victim "$victim" --arg moment "$moment" \
	    '{fault: $fault, victim: $victim, moment: $moment | tonumber} + .' <<<"$window" >>"$results"
	table_row "$name"
	"$lab" heal "$victim" || ok=1
	if ! wait_for 30 whole "$server"; then
		note "$name, healed: $server $(role "$server"), $victim $(role "$victim")"
		ok=1
	fi
	return $ok
}
w() {
	jq -r "$1" <<<"$window"
}

# check_takeover METHOD MOST_MEDIAN_MS [standby]: nothing is lost, and the gap is short
check_takeover() {
	local name="$1${3:+ on the $3}"
	did "$name: the pair comes through" takeover "$1" ${3:+"$3"}
	check_eq "$name: no session of $load_sessions is lost" "$(w '"\(.up) up, \(.survivors) survive, \(.lost) lost, \(.redials) redials"')" \
	    "$load_sessions up, $load_sessions survive, 0 lost, 0 redials"
	[ "$(w .lost)" = 0 ] || note "lost: $(w '.losses | tojson')"
	check "$name: the median gap is at most $2 ms beyond the interval ($(w '.beyond_ms.median'))" \
	    jq -e --argjson most "$2" '.beyond_ms.median != null and .beyond_ms.median <= $most' <<<"$window"
}

# renew_load ARGUMENTS of start_load: a new client, if sessions of the old one are gone
renew_load() {
	[ "$(load_up)" != "$load_sessions" ] || return 0
	note "sessions are gone: a new client for what follows"
	stop_load
	wait_for 10 no_session
	start_load "$@"
}
no_session() {
	sessions "$(master)" 0
}

# ---- what the gateways sent ----

start_capture() {
	rm -f "$capture"
	"$lab" exec wan tcpdump -Z root -i any -Q in -U -B 65536 -w "$capture" "src host $vip" 2>"$scratch/tcpdump.err" &
	capture_pid=$!
	background+=("$capture_pid")
	wait_for 5 grep -q listening "$scratch/tcpdump.err"
}
stop_capture() {
	sleep 1
	kill "$capture_pid" 2>/dev/null
	wait "$capture_pid" 2>/dev/null
	note "capture: $(grep -E 'captured|dropped' "$scratch/tcpdump.err" | paste -sd, -), $(stat -c %s "$capture") bytes"
	[ "$(sed -n 's/ packets dropped by kernel//p' "$scratch/tcpdump.err")" = 0 ]
}
# check_capture TAKEOVERS [OPTIONS of key-check]: no key for two frames, jumps within bounds, no end of a live call
check_capture() {
	local want=$1
	shift
	"$key_check" --keylog "$keylog" --gateway gw1="${mac[gw1]}" --gateway gw2="${mac[gw2]}" "$@" "$capture" \
	    >"$scratch/keycheck.json" 2>&1
	note "figure: key-check: $(jq -c 'del(.examples)' "$scratch/keycheck.json")"
	check_eq "no key and no number for two frames, nothing unreadable, no end of a live call" \
	    "$(jq -c '.faults + {encrypted_of_no_call}' "$scratch/keycheck.json")" \
	    '{"key_reused":0,"number_reused":0,"backward":0,"unreadable":0,"closed":0,"unreachable":0,"cut":0,"encrypted_of_no_call":0}'
	[ "$(jq '.examples | length' "$scratch/keycheck.json")" = 0 ] || note "$(jq -c '.examples[]' "$scratch/keycheck.json")"
	check "the jumps of numbers and keys stay within bounds" jq -e .within_bounds "$scratch/keycheck.json"
	check_eq "the capture holds $want takeovers" "$(jq '.takeovers | length' "$scratch/keycheck.json")" "$want"
}

# ---- the control channel ----

# check_control: after a takeover the restored connections do all that they did before; ends four sessions
check_control() {
	load_say "echo all 20" && load_answer echo 40
	check_eq "Echo-Requests on all connections are answered" "$(field "$answer" '"\(.answered) of \(.asked)"')" \
	    "$load_sessions of $load_sessions"
	note "figure: echo $answer"
	load_say "sli 0-9" && load_answer sli
	check_eq "Set-Link-Info is sent on ten" "$(field "$answer" .sent)" 10
	load_say "echo 0-9" && load_answer echo
	check_eq "and these connections live on" "$(field "$answer" '"\(.answered) of \(.asked)"')" "10 of 10"
	load_say "clear 10-13" && load_answer clear
	check_eq "Call-Clear-Requests get their Call-Disconnect-Notify" \
	    "$(field "$answer" '"\(.answered) of \(.asked)"')" "4 of 4"
	check_eq "the other sessions are up" "$(load_up)" $((load_sessions - 4))
}

# ---- a real client ----

# identity: processes and unit of the real client, one line
identity() {
	"$realclient" exec 'p=$(cat /run/rc/pppd.pid 2>/dev/null); kill -0 "$p" 2>/dev/null && echo "pppd $p" || echo "no pppd"
	    for d in /proc/[0-9]*; do read -r c <$d/comm && case $c in pptp*) echo "pptp ${d#/proc/}" ;; esac; done 2>/dev/null
	    ip -o -4 addr show | sed -n "s/^[0-9]*: \(ppp[0-9]*\) *inet \([0-9.]*\).*/\1 \2/p"' | sort | paste -sd' ' -
}

# start_stream: the real client, already connected, echoes; figures by stream_figures
start_stream() {
	coproc stream {
		exec "$lab" exec server "$top/tests/lab/stream.py" 7001
	}
	stream_pid=$!
	exec {stream_in}>&"${stream[1]}" {stream_out}<&"${stream[0]}"
	background+=("$stream_pid")
	sleep 0.3
	"$realclient" exec 'rm -f /run/rc/echo; mkfifo /run/rc/echo
	    if command -v nc >/dev/null; then nc '$api' 7001 0<>/run/rc/echo 1>&0 2>/dev/null &
	    else bash -c "exec 3<>/dev/tcp/'$api'/7001; cat <&3 >&3" >/dev/null 2>&1 </dev/null & fi
	    echo $! >/run/rc/echo.pid' >/dev/null
	stream_say wait connected
}
# stream_say COMMAND EVENT: its line, in $answer
stream_say() {
	printf '%s\n' "$1" >&"$stream_in"
	while read -r -t 10 answer <&"$stream_out"; do
		[ "$(field "$answer" .event)" != "$2" ] || return 0
		note "stream: $answer"
	done
	answer=
	return 1
}
stop_stream() {
	printf 'quit\n' >&"$stream_in"
	exec {stream_in}>&- {stream_out}<&-
	wait "$stream_pid" 2>/dev/null
	"$realclient" exec '[ ! -e /run/rc/echo.pid ] || kill $(cat /run/rc/echo.pid) 2>/dev/null; true' >/dev/null
}

# start_iperf SECONDS [OPTIONS of iperf3]: in the tunnel, towards the client
start_iperf() {
	local seconds=$1
	shift
	"$realclient" exec "rm -f /run/rc/iperf; (iperf3 -c $api -t $seconds -i 0.1 -f k -R --forceflush $* >/run/rc/iperf 2>&1
	    echo \"exit \$?\" >>/run/rc/iperf) >/dev/null 2>&1 </dev/null &" >/dev/null
}
# end_iperf SECONDS: waits for it; one line of JSON in $answer, the gap in steps of 100 ms
end_iperf() {
	wait_for "$1" "$realclient" exec 'grep -q ^exit /run/rc/iperf' || true
	answer=$("$realclient" exec 'cat /run/rc/iperf' | awk '
		/ sec / && /bits\/sec/ && !/sender|receiver/ { n++; if ($5 + 0 == 0) { run++; if (run > longest) longest = run } else run = 0 }
		/receiver/ { kbit = $7 }
		/error/ { error = $0 }
		/^exit/ { status = $2 }
		END {
			gsub(/"/, "", error)
			printf("{\"exit\":%d,\"intervals\":%d,\"gap_ms\":%d,\"silent_at_end\":%s,\"kbit_s\":%d,\"error\":\"%s\"}\n",
			    status == "" ? -1 : status, n, longest * 100, (run > 5 ? "true" : "false"), kbit, error)
		}')
}
