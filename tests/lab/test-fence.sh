#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# peer-loss = fence: a command that fails, hangs, and succeeds. The active that lost its peer keeps below its
# marks until it has succeeded; a standby that lost it serves only then. Status and journal say so.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/client.sh"
. "$(dirname "$0")/pair.sh"

# The command does what stands in this file, and writes down how it was called.
chmod 755 "$scratch"
cat >"$scratch/fence" <<EOF
#!/bin/sh
echo "\$# \$* \$(env | grep -vcE '^(PATH|PWD|SHLVL|_|OLDPWD)=')" >>$scratch/fenced
. $scratch/mode
EOF
chmod 755 "$scratch/fence"
mode() {
	: >"$scratch/fenced"
	echo "$1" >"$scratch/mode"
}
says() { # NODE FILTER
	agent "$1" status --json | jq -r "$2"
}
is() { # NODE FILTER WORD
	[ "$(says "$1" "$2")" = "$3" ]
}
ran() {
	[ -s "$scratch/fenced" ]
}

mode 'exit 0'
need_lab --users 10 --advert 0.1 --conf "split { peer-loss = fence fence-command = $scratch/fence fence-timeout-ms = 1500 }"
build_client
check "gw1 serves, gw2 stands by" wait_for 10 settled gw1
check "nobody is taken for fenced while he is heard" wait_for 5 is gw1 .fence.state idle
"$lab" exec client "$pptp_client" --server $vip --hold 600 --max-loss 1000000 "${any_user[@]}" --sessions 10 \
    --ping $api --rate 50 >"$report" 2>"$scratch/client.err" &
client_pid=$!
background+=("$client_pid")
check "10 sessions" wait_for 10 sessions gw1 10
check "the standby has them" wait_for 10 is gw1 .replica.in_step true

# ---- the active, and its standby is gone ----
mode 'echo no such outlet >&2; exit 7'
"$lab" fail gw2 partition >/dev/null
check "the peer is lost: both ask for the fence" wait_for 5 ran
check "it fails: both say so" wait_for 5 eval 'is gw1 .fence.state failed && is gw2 .fence.state failed'
sleep 3
check_eq "gw1 keeps below its marks" "$(says gw1 .replica.state)" cut
check_match "gw2 does not serve" "$(says gw2 '"\(.role) \(.pptpd.role) \(.verdict)"')" '^standby standby unfit$'
check_match "status has the command's own words" "$(agent gw1 status)" 'fence  *failed: .*status 7: no such outlet'
check_match "it was told what for, and of whom" "$(sort -u "$scratch/fenced" | paste -sd'|')" \
    '3 promote gw1 10\.255\.0\.1 0\|3 silent gw2 10\.255\.0\.2 0'
check_eq "10 sessions wait" "$(agent gw1 pptpd status | jq .sessions)" 10
echo 'case $1 in silent) exit 0 ;; esac; exit 7' >"$scratch/mode"
check "it succeeds at last: gw1 goes on with one class" wait_for 8 is gw1 .replica.state silent
check "gw1 says so" is gw1 .fence.state fenced
check_eq "all of them" "$(agent gw1 pptpd status | jq .sessions)" 10
"$lab" heal gw2 >/dev/null
check "gw2 is back, with a whole copy" wait_for 15 is gw1 .replica.in_step true
check "and not taken for fenced" wait_for 3 is gw1 .fence.state idle

# ---- the standby, and the active is gone ----
mode 'sleep 987.25'
"$lab" fail gw1 power >/dev/null
check "the command hangs: it is killed, and gw2 says so" wait_for 8 is gw2 .fence.state hung
check_match "gw2 does not serve" "$(says gw2 '"\(.role) \(.pptpd.role)"')" '^standby standby$'
check "nothing of it is left" eval '! pgrep -f "^sleep 987.25$" >/dev/null'
mode 'exit 0'
check "it succeeds: gw2 serves" wait_for 12 is_role gw2 "MASTER active vip"
check_eq "10 sessions went on" "$(says gw2 .replica.resumed)" 10
check "the journal has all of it" eval 'grep -q "\"event\":\"fence-failed\"" "$(root gw2)/var/lib/pptp-ha/journal" &&
    grep -q "\"event\":\"fenced\"" "$(root gw2)/var/lib/pptp-ha/journal"'
stop_client
