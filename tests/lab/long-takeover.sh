#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Takeovers under load: many slow sessions, then fewer fast ones, each through all faults back and forth.
# No session may be lost and none dials again. Prints a table, for each advert interval; captures what
# the gateways send and decrypts it; then tries the control channel. Uses the release build.
#
# LOADS = "SESSIONS:RATE ...", METHODS = "METHOD[@standby] ...", ADVERTS = seconds, CAPTURE= (empty: none).
# The table: gap = longest time between two answers, per session; beyond = gap less the interval of the
# packets (its mean tells more than its median when the interval is long); numbers, keys = widest jumps;
# client late = by how much the client itself sent and read too late at worst, in ms.
export PHA_BUILD=${PHA_BUILD:-build}
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/client.sh"
. "$(dirname "$0")/pair.sh"
. "$(dirname "$0")/takeover.sh"
loads=${LOADS:-1000:10 200:50}
methods=${METHODS:-power kill-pptpd kill-keepalived link-wan hang-pptpd}
capturing=${CAPTURE-1}

# most METHOD: milliseconds of the median gap, at an advert interval of 20 ms
most() {
	case $1 in
	hang-pptpd) echo 1500 ;;
	*@standby) echo 300 ;;
	power) echo 100 ;;
	*) echo 1000 ;;
	esac
}

# one_load SESSIONS RATE ADVERT
one_load() {
	local options=(--echo-interval 10 --lcp-echo 10) method moves=0
	start_load "$1" "$2" "${options[@]}"
	check_eq "$1 sessions at $2/s are up" "$(field "$answer" .connected)" "$1"
	wait_for 10 whole "$(master)"
	# A key log tells of one client: with a capture, a client that lost sessions is not replaced.
	[ -z "$capturing" ] || start_capture
	note "advert $3 s, $1 sessions at $2 packets/s:"
	table_head
	for method in $methods; do
		[ -n "$capturing" ] || renew_load "$1" "$2" "${options[@]}"
		if [[ $method == *@standby ]]; then
			check_takeover "${method%@standby}" "$(most "$method")" standby
		else
			check_takeover "$method" "$(most "$method")"
			moves=$((moves + 1))
		fi
	done
	if [ -n "$capturing" ]; then
		did "the capture lost nothing" stop_capture
	fi
	check_control
	did "the client reports" stop_load
	note "figure: $(r '"\(.traffic.ping.sent) packets sent, \(.traffic.ping.lost) lost; round trip ms \(.traffic.rtt_ms | tojson); \(.control | tojson)"')"
	[ -z "$capturing" ] || check_capture $moves
	wait_for 10 no_session
}

build_tools
for advert in ${ADVERTS:-0.02 0.1}; do
	need_lab --advert "$advert" --users 1200
	for load in $loads; do
		one_load "${load%:*}" "${load#*:}" "$advert"
	done
done
