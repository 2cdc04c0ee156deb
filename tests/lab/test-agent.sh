#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The agent of one gateway, driven by hand: no keepalived runs, the test writes the notify lines, moves
# the virtual addresses and plays keepalived's process. What the transitions do is real: pptpd, gate,
# ARP, epoch, journal.
. "$(dirname "$0")/lib.sh"

need_lab --single
root=$(root gw2)
run=$root/run/pptp-ha
state=$root/var/lib/pptp-ha
fifo=$run/keepalived.fifo
agent_pid=
helpers=()

# start_agent [OPTIONS]: hagent run on gw2, its pid in $agent_pid
start_agent() {
	"$lab" exec gw2 hagent --node gw2 --root "$root" run --no-link "$@" >>"$root/var/log/agent.log" 2>&1 &
	agent_pid=$!
	wait_for 5 agent gw2 check
}
stop_agent() {
	kill "$agent_pid"
	wait "$agent_pid"
}
# helper COMMAND...: a process in gw2 that the test ends by its pid; $helper has it
helper() {
	"$lab" exec gw2 "$@" >>"$scratch/helpers" 2>&1 &
	helper=$!
	helpers+=("$helper")
}
end_helpers() {
	local pid
	for pid in "${helpers[@]}" $agent_pid; do
		kill -CONT "$pid" 2>/dev/null
		kill "$pid" 2>/dev/null
	done
}
trap 'end_helpers; end_of_script' EXIT
keepalived() {
	helper sleep 1000
	keepalived_pid=$helper
	mkdir -p "$run/keepalived"
	echo "$keepalived_pid" >"$run/keepalived/vrrp.pid"
	wait_for 5 status_is '.keepalived == "running"'
}

vip() { # add|del
	ip -n "${PHA_LAB_PREFIX:-pha}-gw2" addr "$1" 198.51.100.10/24 dev wan
	ip -n "${PHA_LAB_PREFIX:-pha}-gw2" addr "$1" 192.168.1.1/24 dev lan
}
# Only the virtual ones of gw2, which stand behind its own
addresses() {
	on gw2 ip -o -4 addr | awk '{print $4}' | grep -cE '^(198.51.100.10|192.168.1.1)/'
}
line() {
	echo "INSTANCE \"PPTP_HA\" $1 250" >"$fifo"
}
status() {
	agent gw2 status --json
}
status_is() {
	[ "$(status | jq "$1")" = true ]
}
role_is() {
	status_is ".role == \"$1\" and .transition_running == false"
}
daemon() {
	field "$(agent gw2 pptpd status)" ".$1"
}
gate() {
	agent gw2 firewall status | awk '$1 == "gate" {print $2}'
}
# what stands on the gateway: role of pptpd, gate
stands() {
	echo "$(daemon role) $(gate)"
}
epoch() {
	cut -d' ' -f1 "$state/epoch"
}
# journal FILTER: of the journal's lines
journal() {
	jq -rs "$1" "$state/journal"
}
transitions() {
	journal '[.[] | select(.kind == "transition")] | length'
}
# steps of the last transition of that kind: "epoch ok, promote cut, ..."
steps() {
	journal "[.[] | select(.kind == \"step\")] | (map(select(.transition == \"$1\")) | last.id) as \$id
	    | map(select(.id == \$id) | \"\(.step) \(.result)\") | join(\", \")"
}
# milliseconds that a command takes, best of 3; its exit status in $rc
best_ms() {
	local best=1000000 begin ms i
	for i in 1 2 3; do
		begin=${EPOCHREALTIME/./}
		"$@" >/dev/null 2>&1
		rc=$?
		ms=$(((${EPOCHREALTIME/./} - begin) / 1000))
		[ $ms -lt $best ] && best=$ms
	done
	echo "$best $rc"
}
# As keepalived calls it, without the lab's own wrapper
bare_check() {
	"$checker" --node gw2 --root "$root" check
}
# The gateway that served until now lets go, so that there is one virtual address.
ip -n "${PHA_LAB_PREFIX:-pha}-gw1" addr del 198.51.100.10/24 dev wan
ip -n "${PHA_LAB_PREFIX:-pha}-gw1" addr del 192.168.1.1/24 dev lan

# ---- start ----
check "check fails without an agent" eval '! bare_check'
start_agent
check "the agent starts" bare_check
check "as standby" wait_for 3 role_is standby
check_eq "it made the fifo" "$(stat -c '%F %a' "$fifo")" "fifo 600"
check_eq "its socket is root's alone" "$(stat -c '%a %U' "$run/agent.sock")" "600 root"
check_eq "nothing had to be done" "$(transitions)" 0
check_match "status says that keepalived does not run" "$(agent gw2 status)" 'keepalived is not running'
check "a second agent is refused" eval '! agent gw2 run --no-link'
keepalived

# ---- a line for an address that is not here ----
line MASTER
sleep 0.6
check_eq "MASTER without the address begins nothing" "$(transitions) $(stands)" "0 standby shut"
check_match "and is in the journal" "$(journal '.[].event')" notify-ignored

# ---- MASTER ----
ip -n "${PHA_LAB_PREFIX:-pha}-gw2" neigh add proxy 192.168.1.77 dev lan
"$lab" exec client tcpdump -Z root -Ulni wan -w "$scratch/wan.pcap" arp 2>/dev/null &
dumps=($!)
"$lab" exec server tcpdump -Z root -Ulni lan -w "$scratch/lan.pcap" arp 2>/dev/null &
dumps+=($!)
sleep 1
on gw2 sysctl -qw net.ipv4.conf.all.arp_notify=0
vip add
line MASTER
check "MASTER makes it active" wait_for 3 role_is active
check_eq "pptpd serves, the gate is open" "$(stands)" "active open"
check_eq "pptpd listens" "$(daemon listening)" true
check_eq "the epoch is raised, on the disk and in pptpd" "$(cat "$state/epoch") $(daemon epoch)" "1 gw2 1"
check "every step is in the journal, sessions in order" \
    in_order "$(steps MASTER)" "copy skipped" "epoch ok" "promote ok" "announce ok"
check "and flows in order" \
    in_order "$(steps MASTER)" "copy skipped" "commit skipped" "gate-open ok" "announce ok"
check_match "and each has its time" "$(journal '.[] | select(.step == "gate-open") | .ms | tostring')" '^[0-9]+$'
check "check succeeds" bare_check

# ---- the same, again and out of order ----
line MASTER
line MASTER
echo 'INSTANCE "PPTP_HA" MASTER_PRIORITY 100' >"$fifo"
echo 'INSTANCE "OTHER" BACKUP 100' >"$fifo"
echo 'GROUP "PPTP_HA" FAULT 0' >"$fifo"
echo 'nonsense' >"$fifo"
sleep 0.5
check_eq "a line for a role already held begins nothing, nor do others' lines" "$(transitions)" 1
line BACKUP
check "BACKUP with the address still here: it demotes" wait_for 3 eval '[ "$(transitions)" = 2 ]'
check "and comes back, because the address says so" wait_for 3 role_is active
check_eq "under a higher epoch" "$(epoch) $(daemon epoch) $(stands)" "2 2 active open"
check "notify does what a line does" agent gw2 notify INSTANCE PPTP_HA MASTER 250
check_fails "notify refuses nonsense" agent gw2 notify INSTANCE PPTP_HA HOPE 250
check_eq "and nothing begins" "$(transitions)" 3

# ---- ARP again ----
sleep 5.5
kill "${dumps[@]}"
wait "${dumps[@]}" 2>/dev/null
announced() { # FILE ADDRESS: how often, as a request with sender = target from gw2
	tcpdump -enr "$scratch/$1.pcap" 2>/dev/null |
	    grep -cE "02:00:00:00:0[12]:02 > ff:ff:ff:ff:ff:ff.*Request who-has $2 .*tell $2"
}
note "announcements: wan $(announced wan 198.51.100.10), lan $(announced lan 192.168.1.1), proxied $(announced lan 192.168.1.77)"
# Two promotions, the first one's rounds ended by the demotion
for a in "wan 198.51.100.10" "lan 192.168.1.1" "lan 192.168.1.77"; do
	# shellcheck disable=SC2086
	check "${a#* } is announced four times and more" [ "$(announced $a)" -ge 5 ]
done

# ---- a restart of the agent costs nothing ----
before="$(epoch) $(stands)"
stop_agent
check_eq "it leaves everything as it is" "$(stands)" "active open"
check_fails "check fails while it is away" bare_check
start_agent
check "the next one finds its role" wait_for 3 role_is active
check_eq "and changes nothing" "$(epoch) $(stands) $(transitions)" "$before 3"
check_match "which the journal says" "$(journal '.[].event')" found-active

# ---- check ----
read -r ms rc <<<"$(best_ms bare_check)"
note "check, agent healthy: $ms ms"
check_eq "check: healthy" "$rc" 0
check "within 100 ms" [ "$ms" -le 100 ]
kill -STOP "$agent_pid"
read -r ms rc <<<"$(best_ms bare_check)"
note "check, agent stopped: $ms ms"
check_eq "check: hung" "$rc" 1
check "within 100 ms" [ "$ms" -le 100 ]
check_match "status says that the agent hangs" "$(agent gw2 status)" 'agent does not answer'
kill -CONT "$agent_pid"
check "check: healthy again" wait_for 3 bare_check

# ---- a daemon that hangs: steps are cut, the rest goes on ----
vip del
line BACKUP
check "BACKUP" wait_for 3 role_is standby
check_eq "pptpd stands by, the gate is shut" "$(stands)" "standby shut"
# Both of it: a monitor that runs would end its engine.
engine=$(field "$("$lab" status)" .nodes.gw2.pptpd.engine)
monitor=$(field "$("$lab" status)" .nodes.gw2.pptpd.monitor)
kill -STOP "$monitor" "$engine"
check "pptpd hangs: the verdict is unfit" wait_for 3 status_is '.verdict == "unfit"'
check_eq "keepalived is told" "$(cat "$run/health")" 1
check_fails "check fails" bare_check
check_match "status says so in words" "$(agent gw2 status)" 'pptpd does not answer'
vip add
line MASTER
check "MASTER with a hanging pptpd comes to its end" wait_for 5 role_is active
check "the step that hung was cut, the rest went on" \
    in_order "$(steps MASTER)" "gate-open ok" "promote cut" "announce ok"
check_match "the slowest step is named" "$(agent gw2 journal)" 'slowest step of [0-9]+ transitions: promote'
line FAULT
sleep 0.1
check "while a step hangs, another line is taken" wait_for 1 status_is '.keepalived_said == "FAULT"'
vip del
check "and is worked to its end" wait_for 5 role_is standby
kill -CONT "$engine" "$monitor"
check "pptpd is back: fit again" wait_for 5 status_is '.verdict == "fit"'
check_eq "what pptpd was told while it hung has ended as it should" "$(stands)" "standby shut"
check_eq "keepalived is told" "$(cat "$run/health")" 0

# ---- superseded ----
kill -STOP "$monitor" "$engine"
vip add
line MASTER
sleep 0.3
vip del
line BACKUP
check "BACKUP during MASTER" wait_for 5 role_is standby
check_match "cuts the rest of it" "$(steps MASTER)" 'promote superseded.*announce superseded'
kill -CONT "$engine" "$monitor"
check "and pptpd ends up as standby" wait_for 3 eval '[ "$(stands)" = "standby shut" ]'
sleep 1
check_eq "and stays so" "$(stands)" "standby shut"

# ---- a program that hangs ----
stop_agent
helper python3 -c "
import socket, time
s = socket.socket(socket.AF_UNIX)
s.bind('$run/conntrackd.sock')
s.listen(64)
time.sleep(1000)"
printf '#!/bin/sh\necho "$*" >>%s\nexec sleep 1000\n' "$scratch/asked" >"$scratch/hanging"
chmod 755 "$scratch/hanging"
wait_for 3 test -S "$run/conntrackd.sock"
start_agent --conntrackd "$scratch/hanging"
vip add
line MASTER
check "MASTER with a hanging conntrackd" wait_for 5 role_is active
check_match "its step is cut, and nothing waits for it but the gate" "$(steps MASTER)" \
    'commit cut, .*gate-open ok, .*announce ok'
check "it was asked to commit" grep -q -- '-C .*conntrackd.conf -c$' "$scratch/asked"
check_eq "at its own deadline of 100 ms" \
    "$(journal '[.[] | select(.step == "commit" and .result == "cut") | .ms] | last | . >= 100 and . < 400')" true
check_eq "pptpd serves, the gate is open" "$(stands)" "active open"
left() {
	pgrep -f "^sleep 1000$" -g "$(pgrep -f "$scratch/hanging" | head -1)" 2>/dev/null
}
nothing_left() {
	[ -z "$(left)" ]
}
check "soon nothing of it is left" wait_for 4 nothing_left

# ---- health ----
on gw2 sysctl -qw net.ipv4.ip_forward=0
check "forwarding is off: a soft fault" wait_for 5 status_is '.health == "soft"'
check_match "status says so in words" "$(agent gw2 status)" 'wrong \(soft\) the kernel does not forward'
check_eq "no healthy peer: it does not yield" "$(cat "$run/health") $(stands)" "0 active open"
check "check succeeds" bare_check
on gw2 sysctl -qw net.ipv4.ip_forward=1
check "and is well again" wait_for 5 status_is '.health != "soft"'
ask() { # SOCKET LINE
	python3 -c "
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(sys.argv[2].encode() + b'\n')
print(s.makefile().readline())" "$run/$1.sock" "$2"
}
# A peer by hand: the link's report, once and then again and again
peer() { # ROLE HEALTH EPOCH
	local hello="{\"version\":\"0\",\"node\":\"gw1\",\"epoch\":$3,\"epoch_node\":\"gw1\",\"role\":\"$1\",\"health\":\"$2\"}"
	ask link "{\"v\":1,\"id\":1,\"cmd\":\"peer\",\"path\":\"sync\",\"up\":true,\"hello\":$hello}"
}
# peers SECONDS ROLE HEALTH EPOCH
peers() {
	local end=$((${EPOCHREALTIME/./} + $1 * 1000000))
	shift
	while [ "${EPOCHREALTIME/./}" -lt "$end" ]; do
		peer "$@" >/dev/null
		sleep 0.05
	done
}
on gw2 sysctl -qw net.ipv4.ip_forward=0
peers 3 standby soft 1 &
wait_for 5 status_is '.health == "soft" and .peer.fresh'
sleep 1
check_eq "a peer that is not well either: it does not yield" "$(cat "$run/health")" 0
wait $!
peers 3 standby fine 1 &
check "a healthy standby: it yields" wait_for 3 eval '[ "$(cat "$run/health")" = 1 ]'
vip del
line FAULT
check "keepalived follows" wait_for 3 role_is standby
wait $!
check "as standby it may be MASTER again, for want of a better one" wait_for 5 eval '[ "$(cat "$run/health")" = 0 ]'
check_eq "the move is counted" "$(field "$(status)" .moves)" 1
on gw2 sysctl -qw net.ipv4.ip_forward=1
wait_for 5 status_is '.health != "soft"'
vip add
line MASTER
wait_for 3 role_is active
peers 3 active fine 99 &
check "a peer that is active under a higher epoch: it yields" wait_for 3 eval '[ "$(cat "$run/health")" = 1 ]'
check "and demotes" wait_for 3 eval '[ "$(stands)" = "standby shut" ]'
vip del
line FAULT
wait $!
check "a promotion goes above the peer's epoch" eval '
	wait_for 5 status_is ".verdict == \"fit\"" && vip add && line MASTER && wait_for 3 role_is active && [ "$(epoch)" = 100 ]'

# ---- what the peer may ask ----
check_match "query.sock answers hello" "$(ask query '{"v":1,"id":1,"cmd":"hello"}')" '"role": ?"active"'
for verb in status check journal notify sync-now peer; do
	check_match "query.sock knows no $verb" "$(ask query "{\"v\":1,\"id\":1,\"cmd\":\"$verb\"}")" unknown-command
done
check_match "link.sock knows no hello" "$(ask link '{"v":1,"id":1,"cmd":"hello"}')" unknown-command

# ---- keepalived dies ----
own=$(on gw2 ip -o -4 addr | grep -cE ' (198.51.100.12|192.168.1.3|10.255.0.2)/')
kill "$keepalived_pid"
check "keepalived's death ends the role" wait_for 3 role_is standby
check_eq "pptpd stands by, the gate is shut" "$(stands)" "standby shut"
check_eq "both virtual addresses are gone" "$(addresses)" 0
check_eq "the gateway's own stay" "$(on gw2 ip -o -4 addr | grep -cE ' (198.51.100.12|192.168.1.3|10.255.0.2)/')" "$own"
check_match "status says so in words" "$(agent gw2 status)" 'keepalived died'
check_match "and the journal" "$(agent gw2 journal)" 'keepalived-died'
keepalived
check_match "a new one is seen" "$(agent gw2 journal)" 'keepalived-back'
vip add
line MASTER
check "and believed" wait_for 3 role_is active

# ---- an agent that was away ----
kill -KILL "$agent_pid"
wait "$agent_pid" 2>/dev/null
kill "$keepalived_pid"
start_agent
check "it finds the address without a keepalived: it takes it away" wait_for 5 eval '[ "$(addresses)" = 0 ]'
check "and stands by" wait_for 3 role_is standby
check_eq "pptpd too" "$(stands)" "standby shut"

# ---- the journal's disk is full ----
stop_agent
kill "$keepalived_pid" 2>/dev/null
rm "$state/journal"
ln -s /dev/full "$state/journal"
start_agent
keepalived
vip add
line MASTER
check "without a journal the transition is worked all the same" wait_for 5 role_is active
check_match "status says so" "$(agent gw2 status)" 'journal cannot be written'
rm "$state/journal"
