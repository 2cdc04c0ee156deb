#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What may go wrong with the replica stream and the standby, under load: the standby loses its power, its
# daemon, its sync cable, its state folder; strangers speak on the stream's socket; the daemon
# that serves is stopped. No session may be lost, no packet but where the active changes, and the stream
# comes back by itself.
# SESSIONS = how many (50), RATE = packets a second of each (20), ADVERT = seconds (0.02).
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/client.sh"
. "$(dirname "$0")/pair.sh"
. "$(dirname "$0")/takeover.sh"
. "$(dirname "$0")/replica.sh"
n=${SESSIONS:-50}
# shellcheck disable=SC2034 # of takeover.sh
after_s=1

# standby_loses_power: nobody answers any more, so the active takes a class of its own, and says so on its disk
standby_loses_power() {
	fault gw2 power
	wait_for 3 is_state gw1 silent && has_marker gw1 && comes_back gw2
}
comes_back() { # NODE
	"$lab" heal "$1" && wait_for 15 whole "$(other "$1")"
}
daemon_dies() {
	fault gw2 kill-pptpd
	sleep 0.5
	comes_back gw2
}
# cable_is_cut NODE: the stream takes another path
cable_is_cut() {
	fault "$1" link-sync
	sleep 1
	wait_for 5 whole gw1
}

# strangers KIND@NODE...: each is one line in the log, and the pair comes back
strangers() {
	local kind node lines failed=0
	for kind; do
		node=${kind#*@}
		kind=${kind%@*}
		lines=$(complaints "$node")
		if ! timeout 5 "$replica_py" wrong "$(root "$node")" "$kind" >/dev/null; then
			note "$kind to $node: not closed"
			failed=1
		fi
		wait_for 5 whole gw1 || failed=1
		if [ $(($(complaints "$node") - lines)) != 1 ]; then
			note "$kind to $node: $(($(complaints "$node") - lines)) lines" "$(log "$node" | tail -n 4)"
			failed=1
		fi
	done
	return $failed
}
complaints() {
	log "$1" | grep -c 'replica stream closed reason='
}

# daemon_is_stopped: as by an operator, on the node that serves
daemon_is_stopped() {
	kill -TERM "$(lab_status .nodes.gw2.pptpd.monitor)"
	wait_for 10 is_role gw1 "MASTER active vip" && sleep 1
}
folder_is_lost() {
	fault gw2 power
	rm -rf "$(root gw2)/var/lib/pptp-ha"
	comes_back gw2
}

need_lab --users "$n" --advert "${ADVERT:-0.02}"
build_tools
start_load "$n" "${RATE:-20}" --echo-interval 10 --lcp-echo 10
check_eq "$n sessions are up" "$(load_up)" "$n"
check "the standby has a whole copy" wait_for 10 whole gw1
trouble_head

check_trouble "standby loses its power" standby_loses_power
check_kept "standby loses its power"
check "the marker is removed" wait_for 3 has_no_marker gw1
check_eq "every class of keys is open" "$(classes gw1)" "all:$n"
check_trouble "strangers on the stream" strangers version@gw1 replayed@gw1 length@gw2 hello-below@gw2
check_kept "strangers on the stream"
check_trouble "standby's daemon dies" daemon_dies
check_kept "standby's daemon dies"
check_trouble "the sync cable is cut" cable_is_cut gw2
check_kept "the sync cable is cut"
"$lab" heal gw2
check_eq "every class of keys is open after all of it" "$(classes gw1)" "all:$n"

table_head
check_takeover power 1000
check "the old active has a whole copy" wait_for 10 whole gw2
trouble_head
check_trouble "the active's daemon is stopped" daemon_is_stopped
check "and comes back as standby" comes_back gw2
check_eq "every class of keys is open after two takeovers" "$(classes gw1)" "all:$n"

check_trouble "standby's state folder is lost" folder_is_lost
check_kept "standby's state folder is lost"
check_eq "the class that it may have used is closed" "$(classes gw1)" "even:$n"
check_eq "the sessions go on with the other one" "$(load_up)" "$n"
did "the client reports" stop_load
note "figure: $(r '"\(.traffic.ping.sent) packets sent, \(.traffic.ping.lost) lost; longest gap ms \(.traffic.gap_ms.max)"')"
