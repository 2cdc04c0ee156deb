#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A client whose session the next gateway does not know, since the two had lost each other before it dialled.
# It only sends data, and learns of its gateway's death from the next one: no echo of its own would tell it for
# a minute. pppd without LCP echoes, pptp-linux with its 60 s.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/pair.sh"

need_lab
check "gw1 serves" settled gw1
"$realclient" start >/dev/null
# gw2 can no longer dial gw1: no copy of what comes now.
on gw1 nft 'add table inet deaf; add chain inet deaf in { type filter hook input priority -300 ; }; add rule inet deaf in tcp dport 2222 drop'
no_stream() {
	[ "$(agent gw1 pptpd status | jq -r '(.replica // .data.replica).connected')" = false ]
}
check "gw2 has lost the stream" wait_for 10 no_stream
check_eq "a client without echoes connects" \
    "$("$realclient" connect -- persist maxfail 0 holdoff 1 lcp-echo-interval 0 | jq -r .address)" 10.8.0.10
"$realclient" exec 'ping -i 0.2 192.168.1.20 >/dev/null 2>&1 </dev/null &' >/dev/null
cut=$("$lab" fail gw1 power)
served() {
	[ "$(agent gw2 pptpd sessions | jq '[.sessions[] | select(.up)] | length')" = 1 ]
}
check "it redials to gw2" wait_for 20 served
note "figure: the echoless client is back after $(awk -v a="$cut" -v b="$EPOCHREALTIME" 'BEGIN {printf "%.0f", (b - a) * 1000}') ms"
check "it was told by ICMP" eval \
    '[ "$(on gw2 nft -j list counter inet pptp_ha told_gre_call | jq "[.nftables[].counter.packets? // 0] | add")" -ge 1 ]'
"$realclient" stop >/dev/null
