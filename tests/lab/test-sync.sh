#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The files that travel between the gateways, with the real sshd, rsync and agent in both namespaces,
# but no daemon and no keepalived, so that both agents stand by and each transfer is ours: what the
# peer may and may not do, what happens to broken files, conflicts, a full disk, a crash in the
# middle of an installation.
. "$(dirname "$0")/lib.sh"
user=pptp-ha

state() {
	printf '%s/var/lib/pptp-ha' "$(root "$1")"
}
etc() {
	printf '%s/etc' "$(root "$1")"
}
other() {
	if [ "$1" = gw1 ]; then echo gw2; else echo gw1; fi
}
push() {
	agent "$1" sync push "${@:2}"
}
same_file() {
	cmp "$(etc gw1)/$1" "$(etc gw2)/$1"
}
# sum PATH
sum() {
	sha256sum "$1" | cut -d' ' -f1
}
audit() {
	tail -n 1 "$(state "$1")/audit.log"
}

write_files() {
	local etc
	etc=$(etc "$1")
	mkdir -p "$etc/ppp" "$etc/pptp-ha"
	printf 'option /etc/ppp/options.pptpd\nlocalip 10.8.0.1\nremoteip 10.8.0.2-254\nconnections 253\n' >"$etc/pptpd.conf"
	printf 'name pptpd\nrequire-mschap-v2\nrequire-mppe-128\n' >"$etc/ppp/options.pptpd"
	(
		umask 077
		printf 'api-client pptpd "a secret" 10.8.0.10\n' >"$etc/ppp/chap-secrets"
		cp "$top/tests/lab/cluster.conf" "$etc/pptp-ha/cluster.conf"
	)
}

# Standing by: it answers the peer, and pushes nothing by itself.
start_agent() {
	local r
	r=$(root "$1")
	on "$1" hagent --node "$1" --root "$r" run --no-link >"$r/var/log/agent.log" 2>&1 &
	wait_for 5 test -S "$r/run/pptp-ha/query.sock"
}
# Not as root: the log is opened by the shell before the user changes.
start_sshd() {
	on "$1" setpriv --reuid "$user" --regid "$user" --clear-groups --inh-caps=-all \
	    /usr/sbin/sshd -D -e -f "$(etc "$1")/pptp-ha/sshd_config" 2>>"$(root "$1")/var/log/sshd.log" &
	eval "sshd_$1=$!"
	wait_for 5 test -s "$(root "$1")/run/pptp-ha/sshd.pid"
}
stop_sshd() {
	kill "$(cat "$(root "$1")/run/pptp-ha/sshd.pid")"
	eval "wait \$sshd_$1"
	rm -f "$(root "$1")/run/pptp-ha/sshd.pid"
}
keys() {
	local node=$1 peer
	peer=$(other "$node")
	agent "$node" keys import "$(etc "$peer")/pptp-ha/ssh/id_ed25519.pub" "$(etc "$peer")/pptp-ha/ssh/host_ed25519.pub" &&
		agent "$node" render
}
# remote KEY COMMAND...: what somebody with that key gets from gw2's sshd: OpenSSH's own client on gw1
remote() {
	local key=$1
	shift
	on gw1 ssh -F none -p 2222 -i "$key" -o IdentitiesOnly=yes -o BatchMode=yes -o ConnectTimeout=3 \
	    -o UserKnownHostsFile="$(etc gw1)/pptp-ha/known_hosts" -o GlobalKnownHostsFile=/dev/null \
	    -o HostKeyAlgorithms=ssh-ed25519 -b 10.255.0.1 -l "${remote_user:-$user}" 10.255.0.2 "$@" </dev/null
}
# fill FOLDER: leaves no room on its file system
fill() {
	dd if=/dev/zero of="$1/filler" bs=4096 2>/dev/null
	chown "$user" "$1/filler"
}
# Two small disks for gw2. They must be there before its programs are: each has mounts of its own.
small_disk() {
	mkdir -p "$1"
	mount -t tmpfs -o size=128k,mode=755 tmpfs "$1"
}
end_of_disks() {
	local status=$?
	umount "$(state gw2)/staging" "$(etc gw2)/ppp" 2>/dev/null
	(exit $status)
	end_of_script
}
trap end_of_disks EXIT

need_lab --bare
small_disk "$(etc gw2)/ppp"
small_disk "$(state gw2)/staging"
for node in gw1 gw2; do
	r=$(root $node)
	mkdir -p "$r/run/pptp-ha" "$r/var/lib/pptp-ha" "$r/var/log"
	write_files $node
	check "$node has keys" agent $node keys init
	chown "$user" "$r/run/pptp-ha"
done
for node in gw1 gw2; do
	check "$node knows its peer's keys" keys $node
	check "$node is prepared" agent $node sync prepare
	touch "$(state $node)/staging/left"
	start_agent $node
	start_sshd $node
done
key=$(etc gw1)/pptp-ha/ssh/id_ed25519
check "the staging folder of an agent that just began is empty" wait_for 5 test ! -e "$(state gw2)/staging/left"
check_eq "staging is the user's alone" "$(stat -c '%a %U' "$(state gw2)/staging")" "700 $user"
check_eq "conflict/ is root's alone" "$(stat -c '%a %U' "$(state gw2)/conflict")" "700 root"

# ---- what the peer may ask for ----
check_fails "no shell" remote "$key"
check_fails "no command" remote "$key" id
check_fails "no rsync of another kind" remote "$key" rsync --server --sender -prce.iLsfxCIvu . /etc
check_match "the refusal says why" "$(remote "$key" id 2>&1)" 'refused: unknown command'
check_match "no shell, in words" "$(remote "$key" 2>&1)" 'refused: there is no shell'
check_match "no reading" "$(remote "$key" 'rsync --server --sender -prce.iLsfxCIvu . /etc' 2>&1)" 'refused: nothing is read'
check_match "no other folder" \
    "$(remote "$key" 'rsync --server -prce.iLsfxCIvu --timeout=10 --delay-updates --fsync . staging/../' 2>&1)" \
    'refused: rsync: only into the staging folder'
check_match "no replica socket yet" "$(remote "$key" replica 1 2>&1)" 'refused: no replica socket'
check_match "each refusal is in our log" "$(cat "$(state gw2)/serve.log")" '"peer":"10.255.0.1","command":"id","result":"refused"'
check_match "sshd names the key that came in" "$(cat "$(root gw2)/var/log/sshd.log")" 'Accepted publickey for pptp-ha from 10.255.0.1'
ssh-keygen -q -t ed25519 -N '' -f "$scratch/stranger"
check_match "an unknown key stays outside" "$(remote "$scratch/stranger" query 1 2>&1)" 'Permission denied'
check_match "sshd's log shows the unknown key" "$(cat "$(root gw2)/var/log/sshd.log")" \
    'Failed publickey|Connection (closed|reset) by authenticating user'
check_match "not as another user" "$(remote_user=root remote "$key" query 1 2>&1)" 'Permission denied'

# ---- a first push, and that nothing is sent twice ----
check_match "equal files are in step at once" "$(push gw1)" '"ok":true.*"result":"same"'
printf 'late pptpd "late secret" *\n' >>"$(etc gw1)/ppp/chap-secrets"
begin=${EPOCHREALTIME/./}
pushed=$(push gw1)
note "figure: from save to in step: $(((${EPOCHREALTIME/./} - begin) / 1000)) ms"
check_match "a changed file is installed" "$pushed" '"ok":true.*"result":"installed"'
check_match "and acknowledged with its checksum" "$pushed" "$(sum "$(etc gw1)/ppp/chap-secrets")"
check "the peer has it" same_file ppp/chap-secrets
check_eq "mode 0600" "$(stat -c '%a %U' "$(etc gw2)/ppp/chap-secrets")" "600 root"
check_eq "staging is empty again" "$(ls -A "$(state gw2)/staging")" ""
check_eq "the spool too" "$(ls -A "$(state gw1)/spool")" ""
check_match "audit line of the sender" "$(audit gw1)" '"direction":"out","peer":"gw2".*chap-secrets.*"result":"installed"'
check_match "audit line of the receiver" "$(audit gw2)" '"direction":"in","peer":"gw1".*chap-secrets.*"result":"installed"'
check_eq "no secret in a log" "$(grep -rl 'late secret' "$(state gw1)" "$(state gw2)" "$(root gw1)/var/log" "$(root gw2)/var/log")" ""
check_eq "the audit log is root's" "$(stat -c '%a %U' "$(state gw2)/audit.log")" "600 root"
lines=$(wc -l <"$(state gw1)/audit.log")
check_match "nothing to do" "$(push gw1)" '"result":"same"'
check_eq "and nothing transferred" "$(wc -l <"$(state gw1)/audit.log")" "$lines"
check_match "status of the sender" "$(agent gw1 sync status)" 'in step'
check_eq "status of the receiver" "$(agent gw2 sync status --json | jq -r '[.data.in_step, .data.conflicts] | @csv')" "true,0"

# ---- modes ----
chmod 644 "$(etc gw1)/ppp/chap-secrets"
chmod 640 "$(etc gw1)/ppp/options.pptpd"
check_match "a mode is a change" "$(push gw1)" '"result":"installed"'
check_eq "but secrets stay 0600" "$(stat -c %a "$(etc gw2)/ppp/chap-secrets")" 600
check_eq "others as they were" "$(stat -c %a "$(etc gw2)/ppp/options.pptpd")" 640

# ---- the standby's own change ----
printf '# by hand\n' >>"$(etc gw2)/ppp/options.pptpd"
check_match "the newer one comes from the standby" "$(push gw1)" '"result":"peer-newer"'
check "the active has it now" wait_for 5 same_file ppp/options.pptpd
printf '# again\n' >>"$(etc gw2)/ppp/options.pptpd"
check_match "pull" "$(agent gw1 sync pull)" '"ok":true'
check "pull brings it" wait_for 5 same_file ppp/options.pptpd

# ---- broken files ----
cp "$(etc gw1)/pptpd.conf" "$scratch/kept"
sed -i 's/^remoteip .*/remoteip 10.8.0.300/' "$(etc gw1)/pptpd.conf"
printf 'more pptpd "more secret" *\n' >>"$(etc gw1)/ppp/chap-secrets"
before=$(sum "$(etc gw2)/ppp/chap-secrets")
refused=$(push gw1)
check_match "a file that does not parse is refused" "$refused" '"ok":false.*"code":"invalid".*pptpd.conf:[0-9]+: remoteip: got'
check_eq "and changes nothing" "$(sum "$(etc gw2)/ppp/chap-secrets")" "$before"
check_match "the receiver's audit log says so" "$(audit gw2)" '"result":"invalid".*remoteip: got'
check_match "the sender's, too" "$(audit gw1)" '"result":"invalid".*remoteip: got'
check_match "status of the receiver says so" "$(agent gw2 sync status)" 'refused: .*remoteip: got'
check_match "status of the sender says so" "$(agent gw1 sync status)" 'remoteip: got'
lines=$(wc -l <"$(state gw2)/audit.log")
check_match "it is not sent again" "$(push gw1)" '"code":"refused".*remoteip: got'
check_eq "no transfer" "$(wc -l <"$(state gw2)/audit.log")" "$lines"
cp "$scratch/kept" "$(etc gw1)/pptpd.conf"
check_match "the mended file goes through" "$(push gw1)" '"result":"installed"'
check "with the others of its set" same_file ppp/chap-secrets
cp "$(etc gw1)/pptp-ha/cluster.conf" "$scratch/kept"
sed -i 's/^node gw2 /node gw3 /' "$(etc gw1)/pptp-ha/cluster.conf"
check_match "a cluster.conf without the peer" "$(push gw1)" '"code":"invalid".*want a node gw2'
sed -i 's/^node gw3 {/node gw3/' "$(etc gw1)/pptp-ha/cluster.conf"
check_match "a cluster.conf that does not parse" "$(push gw1)" '"code":"invalid".*cluster.conf:[0-9]+: '
check_match "is reported by both" "$(audit gw1)$(audit gw2)" 'cluster.conf:[0-9]+: .*"direction":"in".*cluster.conf:[0-9]+: '
cp "$scratch/kept" "$(etc gw1)/pptp-ha/cluster.conf"

# ---- files that cluster.conf names ----
cp "$(etc gw1)/pptp-ha/cluster.conf" "$scratch/kept"
sed -i 's|^sync {|sync {\n\tfiles = { /etc/ppp/ip-up.local, /etc/cron.d/job }|' "$(etc gw1)/pptp-ha/cluster.conf"
mkdir -p "$(etc gw1)/cron.d"
printf 'x\n' | tee "$(etc gw1)/ppp/ip-up.local" >"$(etc gw1)/cron.d/job"
check_match "not into a strange folder" "$(push gw1)" '/etc/cron.d/job: not below'
check_fails "nothing was put there" test -e "$(etc gw2)/cron.d/job"
sed -i 's|, /etc/cron.d/job||' "$(etc gw1)/pptp-ha/cluster.conf"
chmod 755 "$(etc gw1)/ppp/ip-up.local"
check_match "no executable that we do not name" "$(push gw1)" 'ip-up.local: executable'
chmod 644 "$(etc gw1)/ppp/ip-up.local"
check_match "a plain file travels" "$(push gw1)" '"cluster_changed":true'
check "it is there" same_file ppp/ip-up.local
chmod 755 "$(etc gw1)/ppp/ip-up.local"
check_match "an executable that both name" "$(push gw1)" '"result":"installed"'
check_eq "with its mode" "$(stat -c %a "$(etc gw2)/ppp/ip-up.local")" 755

# ---- a set that the peer's account made up ----
forge() {
	python3 - "$(state gw2)/staging" "$@" <<'EOF'
import hashlib, json, os, sys
folder, path, text, mode = sys.argv[1], sys.argv[2], sys.argv[3].encode(), int(sys.argv[4], 8)
name = "00-" + os.path.basename(path)
open(os.path.join(folder, name), "wb").write(text)
json.dump({"format": 1, "generation": {"epoch": 99, "counter": 1, "node": "gw1"},
           "base": {"epoch": 0, "counter": 0, "node": ""},
           "files": [{"path": path, "sha256": hashlib.sha256(text).hexdigest(), "size": len(text), "mode": mode}]},
          open(os.path.join(folder, "manifest.json"), "w"))
EOF
}
forge /etc/shadow 'root::' 0600
check_match "a set without the files that matter" "$(agent gw2 sync install)" '"code":"invalid"'
forge /etc/../etc/shadow 'root::' 0600
check_match "a path that climbs" "$(agent gw2 sync install)" '"code":"invalid".*path'
forge /etc/pptpd.conf 'localip 10.8.0.1' 0600
ln -sf /etc/passwd "$(state gw2)/staging/00-pptpd.conf"
check_match "a symbolic link" "$(agent gw2 sync install)" '"code":"incomplete"'
check_match "nothing staged" "$(agent gw2 sync install)" '"code":"incomplete".*nothing is staged'

# ---- conflict: both change while they cannot talk ----
stop_sshd gw2
printf 'unheard pptpd one *\n' >>"$(etc gw1)/ppp/chap-secrets"
check_match "peer unreachable" "$(push gw1)" '"code":"unreachable".*peer unreachable: 10.255.0.2 port 2222'
check_match "it stands in the status" "$(agent gw1 sync status)" 'peer unreachable'
printf 'alone pptpd two *\n' >>"$(etc gw2)/ppp/chap-secrets"
printf '7 gw2\n' >"$(state gw2)/epoch"
loser=$(sum "$(etc gw1)/ppp/chap-secrets")
start_sshd gw2
check_match "the higher epoch wins" "$(push gw2)" '"result":"installed".*"conflicts":\["chap-secrets\.[0-9TZ]+\.conflict"\]'
check "both have the winner" same_file ppp/chap-secrets
kept=$(ls "$(state gw1)"/conflict/chap-secrets.*.conflict)
check "the loser is kept" test -s "$kept"
check_eq "as it was" "$(sum "$kept")" "$loser"
check_eq "readable by root alone" "$(stat -c '%a %U' "$kept")" "600 root"
check_match "and reported" "$(agent gw1 sync status)" 'conflicts: 1 files'
check_match "also in the audit log" "$(audit gw1)" 'files lost'
stop_sshd gw1
check_match "an unreachable peer, the other way" "$(agent gw2 sync pull)" '"code":"unreachable"'
start_sshd gw1

# ---- keys ----
cp "$(etc gw1)/pptp-ha/known_hosts" "$scratch/kept"
sed -i "s|ssh-ed25519 .*|$(cut -d' ' -f1,2 "$scratch/stranger.pub")|" "$(etc gw1)/pptp-ha/known_hosts"
check_match "wrong host key" "$(push gw1)" '"code":"wrong-host-key".*wrong host key: 10.255.0.2 port 2222 shows SHA256:'
printf '# nobody\n' >"$(etc gw1)/pptp-ha/known_hosts"
check_match "no host key" "$(push gw1)" '"code":"wrong-host-key".*knows none'
cp "$scratch/kept" "$(etc gw1)/pptp-ha/known_hosts"
cp -p "$key" "$scratch/kept.key"
cat "$scratch/stranger" >"$key"
check_match "key refused" "$(push gw1)" '"code":"key-refused".*key refused: 10.255.0.2 port 2222'
cat "$scratch/kept.key" >"$key"
check_match "the right keys again" "$(push gw1)" '"result":"same"'

# ---- another path ----
"$lab" fail gw2 link-sync >/dev/null
printf '# over the LAN\n' >>"$(etc gw1)/ppp/options.pptpd"
check_match "without the sync network" "$(push gw1)" '"result":"installed"'
check_match "it came over the LAN" "$(tail -n 3 "$(state gw2)/serve.log")" '"peer":"192.168.1.2"'
"$lab" heal gw2 >/dev/null

# ---- a full disk ----
fill "$(state gw2)/staging"
printf '"no room" pptpd three *\n' >>"$(etc gw1)/ppp/chap-secrets"
before=$(sum "$(etc gw2)/ppp/chap-secrets")
check_match "the peer's disk is full" "$(push gw1)" '"code":"disk-full".*No space left on device'
check_eq "the old file stays" "$(sum "$(etc gw2)/ppp/chap-secrets")" "$before"
check_match "the audit log says so" "$(audit gw1)" '"result":"disk-full"'
rm -f "$(state gw2)/staging/filler"
fill "$(etc gw2)/ppp"
check_match "no room where the file belongs" "$(push gw1)" '"code":"disk-full".*chap-secrets: No space left on device'
check_eq "the old files stay there, too" "$(sum "$(etc gw2)/ppp/chap-secrets")" "$before"
check_eq "and nothing else" "$(find "$(etc gw2)" -name '*.pptp-ha-new')" ""
check_fails "nor a journal" test -e "$(state gw2)/install"
rm "$(etc gw2)/ppp/filler"
check_match "with room it goes through" "$(push gw1)" '"result":"installed"'
check "whole" same_file ppp/chap-secrets

# ---- a crash in the middle of an installation ----
printf 'new\n' >"$(etc gw2)/ppp/options.pptpd.pptp-ha-new"
python3 - "$(state gw2)" "$(sum "$(etc gw2)/ppp/options.pptpd.pptp-ha-new")" <<'EOF'
import json, sys
state, digest = sys.argv[1:]
generation = {"epoch": 50, "counter": 1, "node": "gw1"}
json.dump({"phase": "writing", "set": {"format": 1, "generation": generation, "base": generation, "files": [
    {"path": "/etc/ppp/options.pptpd", "sha256": digest, "size": 4, "mode": 0o644}]}}, open(state + "/install", "w"))
EOF
before=$(sum "$(etc gw2)/ppp/options.pptpd")
check "prepare after a crash before the swap" agent gw2 sync prepare
check_eq "undone" "$(sum "$(etc gw2)/ppp/options.pptpd") $(find "$(etc gw2)" -name '*.pptp-ha-new')" "$before "
check_fails "and the journal is gone" test -e "$(state gw2)/install"
python3 - "$(state gw2)" "$(etc gw2)/ppp/options.pptpd" <<'EOF'
import hashlib, json, sys
state, path = sys.argv[1:]
generation = {"epoch": 50, "counter": 1, "node": "gw1"}
text = open(path).read() + "# after the crash\n"
open(path + ".pptp-ha-new", "w").write(text)
current = json.load(open(state + "/generation"))
new = {"format": 1, "generation": generation, "base": generation, "files": current["current"]["files"]}
for f in new["files"]:
    if f["path"].endswith("options.pptpd"):
        f["sha256"], f["size"] = hashlib.sha256(text.encode()).hexdigest(), len(text)
current["current"], current["common"] = new, generation
json.dump(current, open(state + "/generation.pptp-ha-new", "w"))
json.dump({"phase": "swapping", "set": new}, open(state + "/install", "w"))
EOF
chmod 640 "$(etc gw2)/ppp/options.pptpd.pptp-ha-new"
check "prepare after a crash in the swap" agent gw2 sync prepare
check_match "completed" "$(tail -n 1 "$(etc gw2)/ppp/options.pptpd")" 'after the crash'
check_eq "with its generation" "$(agent gw2 sync status --json | jq -c '[.data.generation.epoch, .data.in_step]')" '[50,true]'
check_eq "nothing is left over" "$(find "$(root gw2)" -name '*.pptp-ha-new' -o -name install)" ""
check_match "and the peer gets it" "$(push gw2)" '"result":"installed"'
check "the same on both" same_file ppp/options.pptpd
