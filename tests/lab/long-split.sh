#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The two gateways lose each other, and both live: the WAN switch falls in two for 5 s and for 60 s, with clients
# on each half; they meet again. An active that nobody hears goes on and dies. A copy that is stale when it is
# needed. A fence command that succeeds, fails,
# hangs. A link that flaps. What both gateways sent is decrypted. Uses the release build.
#
# PARTS = which of: split silent stale fence flap (all). SPLITS = seconds of each (5 60), STALE_S = of a stream that is
# down (60). ADVERT = seconds (0.02).
export PHA_BUILD=${PHA_BUILD:-build}
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/client.sh"
. "$(dirname "$0")/pair.sh"
. "$(dirname "$0")/takeover.sh"
. "$(dirname "$0")/replica.sh"
parts=${PARTS:-split silent stale fence flap}
splits=${SPLITS:-5 60}
stale_s=${STALE_S:-60}
tunnel_ip=10.8.0.1
client2_ip=198.51.100.101
advert=${ADVERT:-0.02}

# says NODE FILTER: of `hagent status --json`
says() {
	agent "$1" status --json | jq -r "$2"
}
epoch() {
	says "$1" .epoch
}
# words NODE: what an operator reads, in one line
words() {
	agent "$1" status | grep -vE '^(addresses|files|  (sync|lan|wan) )' | tr -s ' ' | paste -sd';' -
}

# ---- a second load, on client2 ----

# start_second SESSIONS RATE TARGET: users that the first load does not have
start_second() {
	mkfifo "$scratch/second"
	exec {second_in}<>"$scratch/second"
	exec {second_out}< <(exec "$lab" exec client2 nice -n -10 "$pptp_client" --server $vip --user u5%d --password p5%d \
	    --sessions "$1" --strict --commands --keylog "$scratch/keys2" --hold 1000000 --max-loss 1000000000000 \
	    --ping "$3" --rate "$2" --size 32 --echo-interval 10 --lcp-echo 10 <"$scratch/second" 2>"$scratch/second.err")
	second=$1
	on_second load_answer ready 60
}
# on_second COMMAND...: what takeover.sh has for a load, for this one
on_second() {
	# shellcheck disable=SC2034 # of load_say and load_answer
	local load_in=$second_in load_out=$second_out load_sessions=$second
	"$@"
}
stop_second() {
	on_second load_say quit
	while read -r -t 20 _ <&"$second_out"; do
		:
	done
	exec {second_in}>&- {second_out}<&-
	rm -f "$scratch/second"
}

# ---- windows of both ----

both_mark() {
	load_say "mark both" && load_answer mark && on_second load_say "mark both" && on_second load_answer mark
}
# both_window NAME: check that nobody is lost, on either side
both_window() {
	load_say window && load_answer window && window=$answer
	tell_window "$1, clients of gw1" "$load_sessions"
	on_second load_say window && on_second load_answer window && window=$answer
	tell_window "$1, clients of gw2" "$second"
}
tell_window() { # NAME SESSIONS
	note "figure: $1: gap ms $(w '.gap_ms | "\(.min)/\(.median)/\(.p99)/\(.max)"'), $(w .packets_lost) of $(w .packets_sent) packets missing, numbers jumped $(w '.numbers_jumped.max'), keys $(w '.keys_jumped.max')"
	check_eq "$1: no session is lost" "$(w '"\(.up) up, \(.lost) lost, \(.redials) redials"')" "$2 up, 0 lost, 0 redials"
	[ "$(w .lost)" = 0 ] || note "lost: $(w '.losses | tojson')"
}
# keys_of NAME KEYLOG FILTER: no key for two frames, in what the capture holds of these clients
keys_of() {
	tcpdump -r "$capture" -w "$scratch/part.pcap" "$3" 2>/dev/null
	"$key_check" --keylog "$2" --gateway gw1="${mac[gw1]}" --gateway gw2="${mac[gw2]}" "$scratch/part.pcap" \
	    >"$scratch/keycheck.json"
	note "figure: $1: key-check: $(jq -c 'del(.examples)' "$scratch/keycheck.json")"
	# While both serve, numbers may be the same; keys may not.
	check_eq "$1: no key for two frames, nothing unreadable, no end of a live call" \
	    "$(jq -c '{key_reused: .faults.key_reused, unreadable: .faults.unreadable, closed: .faults.closed,
	        unreachable: .faults.unreachable, encrypted_of_no_call}' "$scratch/keycheck.json")" \
	    '{"key_reused":0,"unreadable":0,"closed":0,"unreachable":0,"encrypted_of_no_call":0}'
	check "$1: there was something to judge" jq -e '.encrypted > 500' "$scratch/keycheck.json"
	[ "$(jq '.examples | length' "$scratch/keycheck.json")" = 0 ] || note "$(jq -c '.examples[:5][]' "$scratch/keycheck.json")"
}

# ---- split ----

both_serve() {
	is_role gw1 "MASTER active vip" && is_role gw2 "MASTER active vip"
}
one_split() { # SECONDS
	local e1 e2 winner loser
	need_lab --advert "$advert" --users 700 --clients 2
	# The server hears both halves and knows one gateway; each gateway answers for itself.
	api=$tunnel_ip
	start_load 30 20 --echo-interval 10 --lcp-echo 10
	start_second 20 20 $tunnel_ip
	check_eq "$1 s: 30 sessions on one half, 20 on the other" "$(load_up) $(on_second load_up)" "30 20"
	check "$1 s: the standby has a whole copy" wait_for 20 whole gw1
	start_capture

	both_mark
	fault gw2 split
	check "$1 s: both serve, each its half" wait_for 5 both_serve
	sleep "$1"
	e1=$(epoch gw1)
	e2=$(epoch gw2)
	winner=$([ "$e1" -gt "$e2" ] && echo gw1 || echo gw2)
	loser=$(other $winner)
	note "figure: split for $1 s: epochs $e1 and $e2; keys gw1 $(classes gw1), gw2 $(classes gw2)"
	both_window "split for $1 s"

	both_mark
	"$lab" heal gw2
	moment=$EPOCHREALTIME
	check "$1 s: they meet, one serves: $winner, which had the higher epoch" wait_for 20 whole $winner
	note "figure: whole after $(ms_since "$moment") ms, epochs $(epoch gw1) and $(epoch gw2)"
	sleep 6
	both_window "met after $1 s"
	check "$1 s: it has the higher epoch" [ "$(epoch $winner)" -ge "$(epoch $loser)" ]
	check_eq "$1 s: every class of keys is open again" "$(classes $winner)" "all:50"
	note "gw1: $(words gw1)" "gw2: $(words gw2)"
	check_match "$1 s: status tells of it" "$(agent $winner status)" '[Ss]plit'
	# What was left must carry over the next move, whoever it was.
	winner=$(master)
	loser=$(other "$winner")
	both_mark
	fault "$winner" power
	check "$1 s: power of the winner: $loser serves" wait_for 20 is_role $loser "MASTER active vip"
	sleep 4
	both_window "and power, after $1 s"
	did "$1 s: the capture lost nothing" stop_capture
	did "$1 s: the client reports" stop_load
	stop_second
	keys_of "$1 s, clients of gw1" "$keylog" "not dst host $client2_ip"
	keys_of "$1 s, clients of gw2" "$scratch/keys2" "dst host $client2_ip"
	"$lab" down >/dev/null
}
part_split() {
	local seconds
	for seconds in $splits; do
		one_split "$seconds"
	done
}

# ---- a silent active ----

# The other one promotes a copy that is as old as the silence; what its clients acknowledge tells it the rest.
part_silent() {
	need_lab --advert "$advert" --users 300
	start_load 50 20 --echo-interval 10 --lcp-echo 10
	check "the standby has a whole copy" wait_for 20 whole gw1
	start_capture
	on gw1 nft "add table inet blocked; add chain inet blocked in { type filter hook input priority -250; }; \
	    add rule inet blocked in tcp dport 2222 drop"
	check "neither is heard on any path: silent" wait_for 10 is_state gw1 silent
	sleep "$stale_s"
	load_say "mark silent" && load_answer mark
	fault gw1 power
	check "gw2 serves" wait_for 20 is_role gw2 "MASTER active vip"
	sleep 15
	load_say window && load_answer window && window=$answer
	tell_window "silent for $stale_s s, then power" 50
	note "figure: $(log gw2 | grep 'takeover epoch' | tail -n 1 | sed 's/.*takeover //')"
	check "no gap is longer than 3 s" jq -e '.gap_ms.max < 3000' <<<"$window"
	did "the capture lost nothing" stop_capture
	did "the client reports" stop_load
	keys_of "silent" "$keylog" "dst net 198.18.0.0/16"
	"$lab" down >/dev/null
}

# ---- a stale copy ----

# no_new_connections NODE: from the other one, so that a stream that was cut stays cut while both are heard
no_new_connections() {
	on "$1" nft "add table inet blocked; add chain inet blocked in { type filter hook input priority -250; }; \
	    add rule inet blocked in tcp dport 2222 tcp flags & (syn | ack) == syn drop"
}
part_stale() {
	local who identity_after
	need_lab --advert "$advert" --users 300
	check "a real client starts" "$realclient" start
	check_eq "pppd connects" "$(field "$("$realclient" connect -- persist maxfail 0 holdoff 1)" .ok)" true
	who=$(identity)
	start_load 50 20 --echo-interval 10 --lcp-echo 10 --redial
	check "the standby has a whole copy" wait_for 20 whole gw1
	start_capture
	no_new_connections gw1
	fault gw2 link-sync
	check "the stream is cut, the active uses every key: solo" wait_for 10 is_state gw1 solo
	note "figure: gw1 $(rep gw1 .state), gw2 stale $(rep gw2 .stale)"
	sleep "$stale_s"
	load_say "mark stale" && load_answer mark
	fault gw1 power
	check "gw2 serves" wait_for 20 is_role gw2 "MASTER active vip"
	sleep 40
	load_say window && load_answer window && window=$answer
	note "figure: stale: $(w '"\(.up) up, \(.survivors) survive, \(.lost) lost, \(.redials) redials, losses \(.losses | tojson), gap ms \(.gap_ms | tojson)"')"
	note "figure: $(log gw2 | grep 'takeover epoch' | tail -n 1 | sed 's/.*takeover //')" \
	    "figure: $(agent gw2 pptpd status | jq -c '{totals, replica}')"
	check_match "the daemon continued none with old keys" "$(log gw2 | grep 'takeover epoch' | tail -n 1)" 'continued=0 .*(re-?keying|stale)=51'
	check_eq "all sessions are up, re-keyed or dialled again" "$(w .up)" 50
	check_match "status counts them" "$(agent gw2 status --json)" 're_?keyed'
	did "the capture lost nothing" stop_capture
	identity_after=$(identity)
	note "figure: the real client was: $who; is: $identity_after"
	check "the real client's tunnel works" "$realclient" ping $api --count 5
	did "the client reports" stop_load
	keys_of "stale" "$keylog" "dst net 198.18.0.0/16"
	"$realclient" disconnect >/dev/null
	"$lab" down >/dev/null
}

# ---- fence ----

# fence_script NAME BODY: a fence command for both gateways; when it ran and with what is in $scratch/fenced.
# It succeeds until $scratch/armed is there: who never heard his peer must fence it before he serves at all.
fence_script() {
	printf '#!/bin/sh\n[ -e %s/armed ] || exit 0\necho "$(date +%%s.%%N) $*" >>%s/fenced\n%s\n' \
	    "$scratch" "$scratch" "$2" >"$scratch/fence-$1"
	chmod 755 "$scratch" "$scratch/fence-$1"
	rm -f "$scratch/fenced" "$scratch/armed"
}
# one_fence NAME BODY: the active loses its power, and the standby must not serve before it is fenced
one_fence() {
	local first
	fence_script "$1" "$2"
	need_lab --advert "$advert" --users 100 --conf "${fence_conf//COMMAND/$scratch/fence-$1}"
	start_load 20 20 --echo-interval 10 --lcp-echo 10
	check "fence $1: the standby has a whole copy" wait_for 20 whole gw1
	load_say "mark fence" && load_answer mark
	touch "$scratch/armed"
	fault gw1 power
	if [ "$1" = succeeds ]; then
		check "fence $1: gw2 serves" wait_for 20 is_role gw2 "MASTER active vip"
		first=$(head -n 1 "$scratch/fenced" | cut -d' ' -f1)
		check "fence $1: it was fenced before" [ -n "$first" ]
		note "figure: fence $1: fenced after $(ms_since "$moment" "${first:-0}") ms"
		sleep 3
		load_say window && load_answer window && window=$answer
		tell_window "fence $1" 20
	else
		sleep 8
		check "fence $1: gw2 does not serve" [ "$(says gw2 .role)" != active ]
		check "fence $1: the command was run" [ -s "$scratch/fenced" ]
		note "figure: fence $1: run $(wc -l <"$scratch/fenced") times in 8 s"
		check_match "fence $1: status says so" "$(agent gw2 status)" '[Ff]enc'
		load_say window && load_answer window
	fi
	note "figure: fence $1: $(tail -n 1 "$scratch/fenced")" "gw2: $(words gw2)"
	rm -f "$scratch/armed"
	"$lab" heal gw1
	check "fence $1, healed: one serves and the other has a whole copy" wait_for 40 eval 'whole "$(master)"'
	note "healed: gw1 $(role gw1), gw2 $(role gw2); gw1: $(words gw1)"
	stop_load
	"$lab" down >/dev/null
}
fence_conf='split { peer-loss = fence fence-command = COMMAND fence-timeout-ms = 3000 }'
part_fence() {
	one_fence succeeds 'exit 0'
	one_fence fails 'exit 1'
	one_fence hangs 'sleep 1000'
}

# ---- a link that flaps ----

# moves_so_far: transitions to MASTER in both journals
moves_so_far() {
	local node
	for node in gw1 gw2; do
		agent $node journal --limit 500 --json
	done | jq -s '[.[] | if type == "array" then .[] else . end | select(.transition == "MASTER" and .result == "done")] | length'
}
part_flap() {
	local node=gw1 before after cut
	need_lab --advert "$advert" --users 300 --conf ""
	start_load 100 10 --echo-interval 10 --lcp-echo 10
	check "the standby has a whole copy" wait_for 20 whole gw1
	before=$(moves_so_far)
	load_say "mark flap" && load_answer mark
	for cut in 1 2 3 4 5 6 7 8 9 10; do
		# The one that serves: a cable of the other one moves nobody.
		node=$(master)
		"$lab" fail "$node" link-wan >/dev/null
		sleep 2
		"$lab" heal "$node"
		[ "$cut" != 6 ] || note "after 6 cuts: gw1: $(words gw1)" "gw2: $(words gw2)"
		sleep 3.5
	done
	after=$(moves_so_far)
	note "figure: 10 cuts in a minute: $((after - before)) moves"
	check "at most 2 of them moved" [ $((after - before)) -le 2 ]
	[ $((after - before)) -le 2 ] ||
	    for node in gw1 gw2; do
		note "$node: $(agent $node journal | grep -vE '  (ok|skipped)  ' | tail -n 40)"
	    done
	check_match "status says why it holds" "$(agent gw1 status; agent gw2 status)" 'holds|moves'
	sleep 2
	load_say window && load_answer window && window=$answer
	tell_window "10 cuts in a minute" 100
	# The other one stays held until the older move is long ago, and its copy is whole all the same.
	check "one serves, and the other has a whole copy" eval 'is_role "$(master)" "MASTER active vip" && in_step "$(master)"'
	did "the client reports" stop_load
	"$lab" down >/dev/null
}

build_tools
for part in $parts; do
	note "---- $part"
	"part_$part"
done
