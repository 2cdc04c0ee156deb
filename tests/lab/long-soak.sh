#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# An hour of 50 sessions with traffic, while others come and go: the daemon's memory and descriptors
# must not grow. SOAK_SECONDS changes the length. Uses the release build: sanitizers keep freed memory.
export PHA_BUILD=build
. "$(dirname "$0")/lib.sh"
seconds=${SOAK_SECONDS:-3600}
client=$build/tests/client/pptp-client

pid() {
	field "$status" ".nodes.gw1.pptpd.$1"
}
rss() {
	awk '/^VmRSS/ {print $2}' "/proc/$(pid "$1")/status"
}
descriptors() {
	ls "/proc/$(pid "$1")/fd" | wc -l
}
sample() {
	printf '%s %s %s %s\n' "$(rss engine)" "$(descriptors engine)" "$(rss monitor)" "$(descriptors monitor)"
}
# churn: one batch of sessions that come, talk and go
churn() {
	on client "$client" --server 198.51.100.10 --user 'u%d' --password 'p%d' --sessions 20 --parallel 20 \
	    --source 198.18.1.1-198.18.1.20 --ping 192.168.1.20 --count 5 --rate 5 >"$scratch/churn.json" 2>"$scratch/churn.log"
}

need_lab --single --users 80
status=$("$lab" status)
# u0..u19 come and go, stay0..stay49 stay.
for i in $(seq 0 49); do
	printf 'stay%d pptpd stay%d *\n' "$i" "$i"
done >>"$(root gw1)/etc/ppp/chap-secrets"
agent gw1 pptpd reload >/dev/null
on client "$client" --server 198.51.100.10 --user 'stay%d' --password 'stay%d' --sessions 50 --parallel 50 \
    --source 198.18.0.1-198.18.0.50 --udp 192.168.1.20:7000 --rate 10 --count $(((seconds + 30) * 10)) --size 400 \
    >"$scratch/stay.json" 2>"$scratch/stay.log" &
stay=$!
end=$((SECONDS + seconds))
churned=0
bad=0
first=
while [ $SECONDS -lt $end ] && kill -0 $stay 2>/dev/null; do
	churn || bad=$((bad + 1))
	churned=$((churned + 1))
	# the caches of allocator and kernel are warm after a twentieth of the time
	if [ -z "$first" ] && [ $((end - SECONDS)) -lt $((seconds * 19 / 20)) ]; then
		first=$(sample)
		note "figure: at the start, KiB and descriptors of engine, monitor: $first"
	fi
	sleep 5
done
last=$(sample)
note "figure: at the end, KiB and descriptors of engine, monitor: $last"
wait $stay
stayed=$?
read -r e0 f0 m0 g0 <<<"$first"
read -r e1 f1 m1 g1 <<<"$last"
check_eq "50 sessions stayed up for $seconds s and lost nothing" $stayed 0
note "figure: $(jq -c .traffic.udp "$scratch/stay.json")"
check_eq "$churned batches of 20 came and went" $bad 0
# one allocator arena's slack, not a trend
check "the engine's memory does not grow" [ "$e1" -le $((e0 + e0 / 20 + 256)) ]
check "the monitor's memory does not grow" [ "$m1" -le $((m0 + m0 / 20 + 256)) ]
check_eq "the engine's descriptors do not grow" "$f1" "$f0"
check_eq "the monitor's descriptors do not grow" "$g1" "$g0"
check_eq "the same engine all the time" "$(field "$("$lab" status)" .nodes.gw1.pptpd.engine)" "$(pid engine)"
