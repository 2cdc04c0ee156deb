#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The files of a pair that is up: a user added on the active can log in on the other one after a failover;
# a broken file changes nothing and both say so; what loses a conflict is kept and reported.
# (test-sync.sh looks at transfers that fail.)
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/client.sh"
. "$(dirname "$0")/pair.sh"

secrets() {
	printf '%s/etc/ppp/chap-secrets\n' "$(root "$1")"
}
state() {
	printf '%s/var/lib/pptp-ha\n' "$(root "$1")"
}
# add NODE NAME: an account, as an editor saves it
add() {
	{
		cat "$(secrets "$1")"
		printf '%s pptpd %s-secret *\n' "$2" "$2"
	} >"$scratch/edited"
	cat "$scratch/edited" >"$(secrets "$1")"
}
same() {
	cmp -s "$(secrets gw1)" "$(secrets gw2)"
}
# in_step NODE: it knows that its peer has what it has
in_step() {
	[ "$(agent "$1" sync status --json | jq .data.in_step)" = true ]
}
both_in_step() {
	same && in_step gw1 && in_step gw2
}
# dial NAME: one session, up and down again
dial() {
	client --user "$1" --password "$1-secret" --ping $api --count 3
}
says() {
	agent "$1" status >"$scratch/said" 2>&1
	grep -Eq "$2" "$scratch/said"
}
check_says() {
	if wait_for 10 says "$2" "$3"; then
		ok "$1"
		note "$2: $(grep -Em 1 "$3" "$scratch/said")"
	else
		not_ok "$1" "want /$3/ in:" "$(cat "$scratch/said")"
	fi
}
# The link is there once both know each other.
need_lab
build_client
check "the files are in step" wait_for 10 both_in_step

# ---- a user added on the active ----
begin=$EPOCHREALTIME
add gw1 late
wait_for 20 eval 'same && in_step gw1'
step=$(ms_since "$begin")
check "an account added on the active is on the peer" same
check "and the active knows" in_step gw1
note "figure: from save to in step (measured by polling): $step ms"
check_eq "mode and owner there" "$(stat -c '%a %U' "$(secrets gw2)")" "600 root"
for node in gw1 gw2; do
	check_eq "$node: staging and spool are empty again" "$(ls -A "$(state $node)/staging" "$(state $node)/spool" 2>/dev/null | grep -v : | tr -d '\n')" ""
	check_match "$node: the audit log shows the transfer" "$(cat "$(state $node)/audit.log")" \
	    "\"direction\":\"$([ $node = gw1 ] && echo out || echo in)\".*chap-secrets.*\"result\":\"installed\""
done
check "the active lets the new user in without being asked to reload" wait_for 5 eval 'dial late'
fault gw1 power
check "the active loses its power: the peer serves" wait_for 10 is_role gw2 "MASTER active vip"
check "the new user logs in there" dial late

# ---- a user added while the peer is away ----
add gw2 lonely
sleep 0.5
"$lab" heal gw1
check "the node that comes back stands by" wait_for 15 settled gw2
begin=$EPOCHREALTIME
check "and gets what it missed" wait_for 75 both_in_step
note "figure: a node that was away is in step $(ms_since "$begin") ms after it stands by"
check_match "with the account" "$(cat "$(secrets gw1)")" 'lonely'

# ---- a broken file ----
conf=$(root gw2)/etc/pptpd.conf
cp "$conf" "$scratch/kept"
before=$(sha256sum <"$(root gw1)/etc/pptpd.conf")
sed -i 's/^remoteip .*/remoteip 10.8.0.300/' "$conf"
check_says "a broken file: the sender says so" gw2 'pptpd.conf:[0-9]+: remoteip: got'
check_says "a broken file: the receiver says so" gw1 'pptpd.conf:[0-9]+: remoteip: got'
check_eq "and nothing has changed there" "$(sha256sum <"$(root gw1)/etc/pptpd.conf")" "$before"
check "clients are served all the same" dial late
cat "$scratch/kept" >"$conf"
check "mended, they are in step" wait_for 20 both_in_step

# ---- a conflict ----
epoch() {
	field "$(agent "$1" status --json)" "$2"
}
"$lab" fail gw2 partition >/dev/null
check "partition: both serve" wait_for 10 eval 'is_role gw1 "MASTER active vip" && is_role gw2 "MASTER active vip"'
add gw1 from-gw1
add gw2 from-gw2
sleep 1
"$lab" heal gw2
check "they meet again: one serves" wait_for 15 eval 'settled gw1 || settled gw2'
winner=$(master)
loser=$(other "$winner")
check "and they are in step" wait_for 75 both_in_step
check_match "with the files of the one that serves" "$(cat "$(secrets "$loser")")" "from-$winner"
kept=$(cat "$(state "$loser")"/conflict/chap-secrets.*.conflict 2>/dev/null)
check_match "what lost is kept" "$kept" "from-$loser"
check_eq "for root alone" "$(stat -c '%a %U' "$(state "$loser")"/conflict/chap-secrets.*.conflict)" "600 root"
check_says "and reported" "$loser" 'conflict'
check_eq "no secret in a log" "$(grep -rlE '(late|lonely|gw[12])-secret' "$(root gw1)/var/log" "$(root gw2)/var/log" \
    "$(state gw1)"/*.log "$(state gw2)"/*.log "$(state gw1)/journal" "$(state gw2)/journal" 2>/dev/null)" ""
