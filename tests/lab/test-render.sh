#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What `hagent render` writes, given to the programs that read it: nft, sysctl, keepalived, conntrackd
# and sshd, on both gateways. Nothing of ours runs here but hagent's own commands; the daemon is a
# process that only looks like it.
. "$(dirname "$0")/lib.sh"

keepalived=
engine=
# What runs outside of the lab's book-keeping.
end_ours() {
	[ -z "$engine" ] || kill -- -"$engine" 2>/dev/null
	if [ -n "$keepalived" ]; then
		kill "$keepalived" 2>/dev/null
		wait "$keepalived" 2>/dev/null
	fi
	return "$1"
}
trap 'end_ours $?; end_of_script' EXIT
need_lab --bare
cmake --build "$build" --target hagent >/dev/null || exit 1
files="guard.nft gateway.nft sysctl.conf keepalived.conf conntrackd.conf sshd_config authorized_keys known_hosts"
for node in gw1 gw2; do
	etc=$(root $node)/etc/pptp-ha
	cp "$top/tests/lab/cluster.conf" "$etc/cluster.conf"
done
etc1=$(root gw1)/etc/pptp-ha
etc2=$(root gw2)/etc/pptp-ha
run1=$(root gw1)/run/pptp-ha

# --- render -----------------------------------------------------------------------------------
sed -i 's/lan-interface = lan/lan-interface = lan7/' "$etc1/cluster.conf"
check_eq "an unknown interface is a mistake with its line" "$(agent gw1 render 2>&1)" \
	"$etc1/cluster.conf:20: lan-interface: got \"lan7\", want an interface that exists on node gw1"
check_fails "also for --check" agent gw1 render --check
check_eq "and nothing was written" "$(ls "$etc1")" cluster.conf
cp "$top/tests/lab/cluster.conf" "$etc1/cluster.conf"
check_match "--check names what is missing" "$(agent gw1 render --check)" "$etc1/known_hosts is missing"
check_match "render says that there are no keys" "$(agent gw1 render)" "hagent keys import"

# --- keys -------------------------------------------------------------------------------------
check_match "no keys yet" "$(agent gw1 keys show)" "id: none yet: hagent keys init"
for node in gw1 gw2; do
	check "$node: keys init" agent $node keys init
done
before=$(cat "$etc1"/ssh/*)
check "keys init again" agent gw1 keys init
check_eq "changes nothing" "$(cat "$etc1"/ssh/*)" "$before"
for key in id_ed25519 host_ed25519; do
	check_eq "$key is for the pair's user alone" "$(stat -c '%U %a' "$etc1/ssh/$key")" "pptp-ha 600"
done
check_match "a key of our own is refused" "$(agent gw1 keys import "$etc1"/ssh/{id,host}_ed25519.pub 2>&1)" \
	"id_ed25519.pub: got a key of this node, want the peer's"
check_match "the same key twice is refused" "$(agent gw1 keys import "$etc2"/ssh/{id,id}_ed25519.pub 2>&1)" "got the same key"
check_match "a private key is refused" "$(agent gw1 keys import "$etc2"/ssh/{id_ed25519,host_ed25519.pub} 2>&1)" \
	"got something else, want an ed25519 public key"
check_fails "and nothing was taken in" ls "$etc1/ssh/peer_id.pub"
check "gw1 takes gw2's keys" agent gw1 keys import "$etc2"/ssh/{id,host}_ed25519.pub
check "gw2 takes gw1's keys" agent gw2 keys import "$etc1"/ssh/{id,host}_ed25519.pub
check_match "keys show" "$(agent gw1 keys show)" "peer-host: $(cut -d' ' -f1,2 "$etc2/ssh/host_ed25519.pub" | tr '+/' '..')"
check_match "--check shows that the key is not rendered yet" "$(agent gw1 render --check)" "\\+restrict,from="

for node in gw1 gw2; do
	check "$node: render" agent $node render
	check_eq "$node: --check is content" "$(agent $node render --check 2>&1)" ""
done
for file in $files; do
	check_match "$file says where it comes from" "$(head -1 "$etc1/$file")" \
		"^# Rendered by hagent from /etc/pptp-ha/cluster.conf for node gw1;"
	echo "edited" >>"$etc1/$file"
	check_match "--check finds an edit of it" "$(agent gw1 render --check)" "$etc1/$file differs:"$'\n'"-edited"
done
agent gw1 render >/dev/null
check "all is as it was" agent gw1 render --check

# --- the programs that read them ------------------------------------------------------------------
as_pair_user="setpriv --reuid pptp-ha --regid pptp-ha --clear-groups"
for node in gw1 gw2; do
	etc=$(root $node)/etc/pptp-ha
	check "$node: nft takes the guard" on $node nft -c -f "$etc/guard.nft"
	check "$node: nft takes the rules" on $node sh -c "cat '$etc/guard.nft' '$etc/gateway.nft' >'$scratch/all.nft' && nft -c -f '$scratch/all.nft'"
	check "$node: sysctl takes its values" on $node sysctl -e -q -p "$etc/sysctl.conf"
	check "$node: keepalived -t" on $node keepalived -t -f "$etc/keepalived.conf"
	check "$node: sshd -t, as the pair's user" on $node $as_pair_user /usr/sbin/sshd -t -f "$etc/sshd_config"
done
sed -i 's/tunnel-to-wan = yes/tunnel-to-wan = yes tunnel-to-lan = yes/' "$etc1/cluster.conf"
agent gw1 render >/dev/null
check "gw1: nft takes the translation to the LAN" on gw1 sh -c "cat '$etc1/guard.nft' '$etc1/gateway.nft' >'$scratch/all.nft' && nft -c -f '$scratch/all.nft'"

# --- conntrackd -------------------------------------------------------------------------------
# A shorter time than the rendered minute; nothing else is changed.
sed -i 's/PurgeTimeout 60/PurgeTimeout 1/' "$etc1/conntrackd.conf" "$etc2/conntrackd.conf"
for node in gw1 gw2; do
	agent $node guard load
	agent $node firewall apply
	on $node conntrackd -C "$(root $node)/etc/pptp-ha/conntrackd.conf" >"$scratch/conntrackd-$node" 2>&1 &
done
conntrackd() {
	on "$1" conntrackd -C "$(root "$1")/etc/pptp-ha/conntrackd.conf" "$2" 2>/dev/null
}
# cache NODE internal|external: entries in it
cache() {
	conntrackd "$1" -s | awk -v which="$2:" '$1 == "cache" { mine = $2 == which } mine && /current active/ { print $4 }'
}
cache_is() {
	[ "$(cache "$1" "$2")" = "$3" ]
}
kernel() {
	on "$1" conntrack -L "${@:2}" 2>/dev/null | wc -l
}
kernel_is() {
	[ "$(kernel "$1")" = "$2" ]
}
# flow NODE SOURCE PORT: an established connection, translated to the WAN's virtual address
flow() {
	on "$1" conntrack -I -p tcp -s "$2" -d 203.0.113.7 --sport "$3" --dport 443 --reply-src 203.0.113.7 \
		--reply-dst 198.51.100.10 --reply-port-src 443 --reply-port-dst 25000 --state ESTABLISHED -t 3000 \
		-u SEEN_REPLY,ASSURED --src-nat 198.51.100.10 >/dev/null 2>&1
}
check "gw1: conntrackd answers" wait_for 5 conntrackd gw1 -s
check "gw2: conntrackd answers" wait_for 5 conntrackd gw2 -s
flow gw1 10.8.0.10 1111
on gw1 conntrack -I -p tcp -s 192.168.1.99 -d 192.168.1.2 --sport 5 --dport 22 --state ESTABLISHED -t 3000 -u SEEN_REPLY,ASSURED >/dev/null 2>&1
check "a translated flow reaches the peer's cache" wait_for 3 cache_is gw2 external 1
sleep 0.2
check_eq "and the gateway's own connection does not" "$(cache gw2 external)" 1
check_eq "nor does anything reach the peer's kernel" "$(kernel gw2)" 0
check "commit" conntrackd gw2 -c
check_match "the peer's kernel has it, translated" "$(on gw2 conntrack -L 2>/dev/null)" \
	"ESTABLISHED src=10.8.0.10 dst=203.0.113.7 sport=1111 dport=443 src=203.0.113.7 dst=198.51.100.10 sport=443 dport=25000"
conntrackd gw2 -f
conntrackd gw2 -R
conntrackd gw2 -B
check "now gw1 keeps gw2's entries" wait_for 3 cache_is gw1 external 1
conntrackd gw1 -t
conntrackd gw1 -n
check "a standby's kernel forgets what it forwarded, and keeps its own connection" wait_for 4 kernel_is gw1 1
check_eq "which goes to itself" "$(kernel gw1 -d 192.168.1.2)" 1
# The new active gives the same port to somebody else: nothing old may stand in its way.
on gw2 conntrack -D -s 10.8.0.10 >/dev/null 2>&1
flow gw2 10.8.0.11 2222
moved() {
	conntrackd gw1 -e | grep -q 'src=10.8.0.11 '
}
check "the peer learns of a flow with the same translation" wait_for 3 moved
check "commit at the way back" conntrackd gw1 -c
check_eq "has it" "$(kernel gw1 -s 10.8.0.11)" 1
check_eq "and no entry was refused" "$(grep -c "can't be committed" "$(root gw1)/var/log/pptp-ha-conntrackd.log")" 0

# --- sshd -------------------------------------------------------------------------------------
install -o pptp-ha -g pptp-ha -m 644 /dev/null "$run1/sshd.pid"
on gw1 $as_pair_user /usr/sbin/sshd -D -e -f "$etc1/sshd_config" >"$scratch/sshd" 2>&1 &
listening() {
	[ "$(on gw1 ss -Hltn 'sport = 2222' | wc -l)" = 3 ]
}
check "sshd listens on all three addresses" wait_for 5 listening
check_match "it knows its pid" "$(cat "$run1/sshd.pid")" "^[0-9]+"
# ssh_as USER KEY ADDRESS [COMMAND...]
ssh_as() {
	on gw2 ssh -n -F none -p 2222 -i "$2" -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes \
		-o UserKnownHostsFile="$etc2/known_hosts" -o GlobalKnownHostsFile=/dev/null -o UpdateHostKeys=no \
		-o ConnectTimeout=3 "$1@$3" "${@:4}" 2>&1
}
for address in 10.255.0.1 192.168.1.2 198.51.100.11; do
	said=$(ssh_as pptp-ha "$etc2/ssh/id_ed25519" $address id)
	check_eq "$address: the peer's command is not what runs" "$(grep -c uid= <<<"$said")" 0
done
check_eq "the peer was let in at each" "$(grep -c 'Accepted publickey for pptp-ha' "$scratch/sshd")" 3
check_eq "and got the forced command" "$(grep -c 'Starting session: forced-command (config).*serve' "$scratch/sshd")" 3
check_match "the host key of another host is refused" "$(cp "$etc2/known_hosts" "$scratch/kh" && sed -i "s|ssh-ed25519 .*|$(cut -d' ' -f1,2 "$etc2/ssh/host_ed25519.pub")|" "$etc2/known_hosts" && ssh_as pptp-ha "$etc2/ssh/id_ed25519" 10.255.0.1 id)" \
	"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED"
cp "$scratch/kh" "$etc2/known_hosts"
ssh-keygen -q -t ed25519 -N "" -f "$scratch/stranger"
check_match "an unknown key is refused" "$(ssh_as pptp-ha "$scratch/stranger" 10.255.0.1 id)" "Permission denied"
check_match "root is refused" "$(ssh_as root "$etc2/ssh/id_ed25519" 10.255.0.1 id)" "Permission denied"
check_match "from another address too" "$(on gw1 ssh -n -F none -p 2222 -i "$etc2/ssh/id_ed25519" -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null pptp-ha@10.255.0.1 id 2>&1)" "Permission denied"

# --- keepalived -------------------------------------------------------------------------------
# The engine, as keepalived sees it; the script that asks the agent is replaced, for there is no agent.
pptpd=$(sed -n 's/.*process "\([^"]*\)".*/\1/p' "$etc1/keepalived.conf")
check "the rendered daemon exists" test -x "$pptpd"
# A path that no other daemon of this machine has: keepalived sees them all.
sed -i -e 's|script ".*"|script "/bin/true"|' -e "s|process \"$pptpd\"|process \"$scratch/pptpd\"|" "$etc1/keepalived.conf"
pptpd=$scratch/pptpd
echo 'sleep 1000' >"$scratch/engine"
# engine NODE: a process with the engine's words, in the background; sets $engine
engine() {
	(cd "$scratch" && exec setsid bash -c 'exec -a "$0" sh engine "$1"' "$pptpd" "$1") &
	engine=$!
}
end_engine() {
	kill -- -"$engine"
	wait "$engine" 2>/dev/null
	engine=
}
mkfifo -m 600 "$run1/keepalived.fifo"
exec 9<>"$run1/keepalived.fifo"
# notified SECONDS LINE: the next line of the fifo that is not about a priority
notified() {
	local line
	while read -r -t "$1" -u 9 line; do
		[[ $line == *_PRIORITY* ]] && continue
		[ "$line" = "$2" ] && return
		echo "got $line"
		return 1
	done
	echo "got no line in $1 s"
	return 1
}
engine gw2
# With -s, so that it sees the processes of the host.
keepalived -n -P -l -D -s "${PHA_LAB_PREFIX:-pha}-gw1" -f "$etc1/keepalived.conf" >"$scratch/keepalived" 2>&1 &
keepalived=$!
check "the peer's engine does not make it healthy" notified 5 'INSTANCE "PPTP_HA" FAULT 250'
end_engine
engine gw1
check "its own does" notified 5 'INSTANCE "PPTP_HA" BACKUP 250'
check "and it becomes MASTER" notified 5 'INSTANCE "PPTP_HA" MASTER 250'
check_match "with the WAN's address" "$(on gw1 ip -o -4 addr show wan)" "198.51.100.10/24"
check_match "and the LAN's" "$(on gw1 ip -o -4 addr show lan)" "192.168.1.1/24"
check_eq "the track file was made" "$(cat "$run1/health")" 0
printf '1\n' >"$run1/health"
check "1 in the track file is FAULT" notified 3 'INSTANCE "PPTP_HA" FAULT 250'
check_eq "the addresses are gone" "$(on gw1 ip -o -4 addr | grep -c '198.51.100.10/24\|192.168.1.1/24')" 0
printf '0\n' >"$run1/health"
check "0 is BACKUP" notified 3 'INSTANCE "PPTP_HA" BACKUP 250'
check "then MASTER" notified 3 'INSTANCE "PPTP_HA" MASTER 250'
end_engine
check "the engine's end is FAULT" notified 3 'INSTANCE "PPTP_HA" FAULT 250'
kill "$keepalived"
wait "$keepalived" 2>/dev/null
keepalived=
check "keepalived's end is told" notified 3 'INSTANCE "PPTP_HA" STOP 250'
check "the fifo is still there" test -p "$run1/keepalived.fifo"
