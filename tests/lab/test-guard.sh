#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The guard: while its hold is set, no FIN, RST or unreachable reaches a client whose gateway dies, however
# the address moves. Without the hold (nobody can continue a session) clients learn at once and redial.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/client.sh"
. "$(dirname "$0")/pair.sh"

# What tells a client that its session is over: FIN or RST of the virtual address, or an ICMP unreachable
# from anybody.
ends="(src host $vip and tcp[13] & 5 != 0) or (icmp[0] = 3 and (icmp[1] = 2 or icmp[1] = 3))"
# capture FILE: what the client's interface sees, until capture_end
capture() {
	"$lab" exec client tcpdump -Z root --immediate-mode -Uni wan -w "$1" "tcp port 1723 or proto 47 or icmp" 2>"$scratch/tcpdump" &
	dump=$!
	background+=("$dump")
	wait_for 5 grep -q listening "$scratch/tcpdump"
}
capture_end() {
	sleep 0.3
	kill $dump
	wait $dump 2>/dev/null
}
# seen FILE FILTER: so many packets
seen() {
	tcpdump -nr "$1" "$2" 2>/dev/null | wc -l
}
hold() {
	agent gw1 guard hold "$1" && agent gw2 guard hold "$1"
}

need_lab
build_client
check "the hold is set on both" hold on
active=$(master)
standby=$(other "$active")
for fault in kill-pptpd power; do
	capture "$scratch/$fault.pcap"
	# This one does not redial: it sends into the void until it gives up, and has its own end last.
	start_client "${static_user[@]}" --ping $api --rate 50 --lcp-echo 0 --echo-interval 2
	check "hold, $fault: a session on $active" wait_for 10 sessions "$active" 1
	sleep 0.5
	fault "$active" $fault
	check "hold, $fault: $standby serves" wait_for 10 is_role "$standby" "MASTER active vip"
	sleep 2.5
	capture_end
	stop_client
	gone=$(awk -v t="$moment" 'BEGIN { printf "%.3f", t }')
	check "hold, $fault: the capture saw the session" [ "$(seen "$scratch/$fault.pcap" "src host $vip and proto 47")" -gt 20 ]
	check "hold, $fault: the client went on sending control messages and data" \
	    [ "$(tcpdump -ttnr "$scratch/$fault.pcap" "dst host $vip and (tcp or proto 47)" 2>/dev/null | awk -v t="$gone" '$1 > t' | wc -l)" -gt 50 ]
	check_eq "hold, $fault: no FIN, no RST, no unreachable" \
	    "$(tcpdump -nr "$scratch/$fault.pcap" "$ends" 2>/dev/null)" ""
	"$lab" heal "$active"
	check "hold, $fault: healed" wait_for 15 settled "$standby"
	check "  and the guard of the healed one holds again" agent "$active" guard hold on
	active=$standby
	standby=$(other "$active")
done

check "the hold is off on both" hold off
for fault in kill-pptpd power; do
	capture "$scratch/off-$fault.pcap"
	start_client "${static_user[@]}" --ping $api --rate 50
	check "no hold, $fault: a session on $active" wait_for 10 sessions "$active" 1
	start_probe "$standby" 15
	fault "$active" $fault
	end_probe
	capture_end
	check "no hold, $fault: the client is back within 5 s of the moment somebody serves" \
	    [ -n "$session_ms" -a $((${session_ms:-99999} - ${answers_ms:-0})) -lt 5000 ]
	check "no hold, $fault: because it was told" [ "$(seen "$scratch/off-$fault.pcap" "$ends")" -gt 0 ]
	note "figure: no hold, $fault: somebody serves after $answers_ms ms, the client is back after $session_ms ms"
	stop_client
	"$lab" heal "$active"
	check "no hold, $fault: healed" wait_for 15 settled "$standby"
	active=$standby
	standby=$(other "$active")
done
