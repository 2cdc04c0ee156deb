#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Many idle sessions: how long a snapshot takes, how much memory each gateway needs, and how long a
# promotion takes until every session has its data path and every control connection its socket. No
# session may be lost. SESSIONS = 10000, ADVERT = 0.02. Uses the release build.
export PHA_BUILD=${PHA_BUILD:-build}
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/client.sh"
. "$(dirname "$0")/pair.sh"
. "$(dirname "$0")/takeover.sh"
. "$(dirname "$0")/replica.sh"
many=${SESSIONS:-10000}

# rss NODE: of its engine, in MB
rss() {
	awk '$1 == "VmRSS:" { printf("%.1f", $2 / 1024) }' "/proc/$(lab_status ".nodes.$1.pptpd.engine")/status"
}
# all_restored NODE: its connections are restored
all_restored() {
	[ "$(rep "$1" .restoring)" = 0 ]
}

build_tools
need_lab --advert "${ADVERT:-0.02}" --users $((many + 100))
base="$(rss gw1) and $(rss gw2)"
start_load "$many" 0 --lcp-echo 20 --echo-interval 20
check_eq "$many sessions are up" "$(load_up)" "$many"
check "the standby has a whole copy" wait_for 60 whole gw1
note "figure: memory of the engines, gw1 and gw2, MB: $base without sessions, $(rss gw1) and $(rss gw2) with $many"

fault gw2 kill-pptpd
"$lab" heal gw2 >/dev/null
check "a standby that was started anew has a whole copy again" wait_for 60 whole gw1
note "figure: the snapshot took $(rep gw1 .snapshot.ms) ms; memory of the engines, MB: $(rss gw1) and $(rss gw2)"

load_say "mark power" && load_answer mark
fault gw1 power
check "gw2 serves" wait_for 20 is_role gw2 "MASTER active vip"
check "and has every connection's socket" wait_for 60 all_restored gw2
note "figure: takeover:$(log gw2 | grep 'takeover epoch' | tail -n 1 | sed 's/.*takeover//')"
note "figure: steps: $(agent gw2 journal --json 2>/dev/null |
	jq -rs '[.[] | select(.kind == "step" and .transition == "MASTER") | "\(.step) \(.ms) ms"] | join(", ")')"
load_say "echo all 60" && load_answer echo 90
check_eq "every connection answers an Echo-Request" "$(field "$answer" '"\(.answered) of \(.asked)"')" "$many of $many"
load_say window && load_answer window
window=$answer
check_eq "no session is lost" "$(w '"\(.up) up, \(.lost) lost, \(.redials) redials"')" "$many up, 0 lost, 0 redials"
did "the client reports" stop_load
