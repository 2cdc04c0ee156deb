#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the peer's key can do at a gateway that is up: nothing but what the pair needs. sshd's log and
# ours show each attempt. (test-sync.sh looks at the transfers themselves.)
. "$(dirname "$0")/lib.sh"
user=pptp-ha

# knock KEY USER COMMAND...: OpenSSH's own client, from gw1 to gw2's pair sshd
knock() {
	on gw1 ssh -F none -p 2222 -i "$1" -l "$2" -o IdentitiesOnly=yes -o BatchMode=yes -o ConnectTimeout=3 \
	    -o UserKnownHostsFile="$(root gw1)/etc/pptp-ha/known_hosts" -o GlobalKnownHostsFile=/dev/null \
	    -o HostKeyAlgorithms=ssh-ed25519 -b 10.255.0.1 10.255.0.2 "${@:3}" </dev/null 2>&1
}
served() {
	grep -F "\"result\":\"$1\"" "$(root gw2)/var/lib/pptp-ha/serve.log" 2>/dev/null
}
sshd_log() {
	cat "$(root gw2)/var/log/sshd.log"
}
# refuse NAME WORDS COMMAND...: refused, told so, and logged
refuse() {
	local name=$1 words=$2 before answer
	shift 2
	before=$(served refused | wc -l)
	answer=$(knock "$key" $user "$@")
	check_match "$name: refused" "$answer" "refused: $words"
	check_eq "$name: in our log" "$(served refused | wc -l)" $((before + 1))
}

need_lab
key=$(root gw1)/etc/pptp-ha/ssh/id_ed25519
check_eq "sshd does not run as root" "$(ps -o user= -p "$("$lab" status | jq .nodes.gw2.processes.sshd)" | tr -d ' ')" $user
check_match "sshd's log shows the peer's agent coming in" "$(sshd_log)" "Accepted publickey for $user from 10.255.0.1"
refuse "a shell" 'there is no shell'
refuse "another command" 'unknown command' id
refuse "a command behind one that is allowed" 'unknown command' 'query 1; id'
refuse "reading" 'nothing is read' 'rsync --server --sender -prce.iLsfxCIvu . /etc/shadow'
refuse "another folder" 'rsync: only into the staging folder' \
    'rsync --server -prce.iLsfxCIvu --timeout=10 --delay-updates --fsync . /etc/'
refuse "a path that climbs out of staging" 'rsync: only into the staging folder' \
    'rsync --server -prce.iLsfxCIvu --timeout=10 --delay-updates --fsync . staging/../'
refuse "other options of rsync" 'rsync: not our options' \
    'rsync --server -prcle.iLsfxCIvu --timeout=10 --delay-updates --fsync . staging/'
check_match "our log names peer, command and reason" "$(served refused | head -n 3)" '"peer":"10.255.0.1","command":"id","result":"refused","text":"[^"]+"'

ssh-keygen -q -t ed25519 -N '' -f "$scratch/stranger"
check_match "an unknown key" "$(knock "$scratch/stranger" $user query 1)" 'Permission denied'
check_match "sshd's log shows it" "$(sshd_log)" "(Failed publickey|Connection (closed|reset) by authenticating user) (for )?$user"
check_match "root, with the right key" "$(knock "$key" root id)" 'Permission denied'
check_match "sshd's log shows it, too" "$(sshd_log)" 'root from 10.255.0.1.*not (allowed|listed)|authenticating user root|invalid user root'
check_match "no forwarding" "$(timeout 5 "$lab" exec gw1 ssh -F none -p 2222 -i "$key" -l $user -o BatchMode=yes \
    -o UserKnownHostsFile="$(root gw1)/etc/pptp-ha/known_hosts" -o GlobalKnownHostsFile=/dev/null \
    -o HostKeyAlgorithms=ssh-ed25519 -b 10.255.0.1 -W 127.0.0.1:1 10.255.0.2 </dev/null 2>&1)" 'prohibited|refused|failed'

# ---- what it may ask the agent ----
query() {
	printf '%s\n' "$1" | on gw1 timeout 5 hagent --node gw1 --root "$(root gw1)" ssh gw2 query 1
}
check_eq "hello is answered" "$(query '{"v":1,"id":1,"cmd":"hello"}' | jq -r '.data | "\(.node) \(.role)"')" "gw2 standby"
for cmd in status notify sync-now check promote kick; do
	check_eq "$cmd is not for the peer" "$(query "{\"v\":1,\"id\":1,\"cmd\":\"$cmd\"}" | jq -r .ok)" false
done
