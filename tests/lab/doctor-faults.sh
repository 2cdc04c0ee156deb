# SPDX-License-Identifier: GPL-2.0-or-later
#
# Faults for `hagent doctor`, and what it takes to carry out its remedies in the lab; comes after lib.sh and
# pair.sh. A fault is a row: its name, the node that is asked, the check that must find it, the function that
# makes it, and `one` where more than one remedy is needed: the next row has the next. Remedies are run as they stand: a command where it says, or the change of the one line that
# it names. What the service manager of a real gateway does, `systemctl` does here through `lab restart`;
# `scp` copies from the other node's root folder, and `hagent` knows its node, as the host's name would tell it.
# shellcheck shell=bash
# shellcheck disable=SC2034
faults=(
	'forwarding off|gw2|ip-forward|fault_forwarding'
	'source filter strict|gw2|rp-filter|fault_rp_filter'
	'a setting changed by hand|gw2|settings|fault_setting'
	'connection tracking table too small|gw2|conntrack-room|fault_conntrack_max'
	'no tunnel device in /dev|gw2|tun|fault_dev_tun'
	'guard flushed|gw2|guard|fault_guard'
	'guard and rules not loaded|gw2|guard|fault_table|one'
	'rules not loaded|gw2|rules|nothing'
	'a rule more than rendered|gw2|rules|fault_rule'
	'PPTP tracked|gw2|untracked|fault_tracked'
	'conntrack helper|gw2|helper|fault_helper'
	'MSS clamp missing|gw2|mss-clamp|fault_clamp'
	'gate open on the standby|gw2|gate|fault_gate'
	'another table drops forwarded packets|gw2|foreign|fault_foreign'
	'LAN interface down|gw2|links|fault_link'
	'own address gone|gw2|addresses|fault_address'
	'another host has the virtual address|gw1|duplicates|fault_duplicate'
	'WAN MTU too small|gw2|mtu|fault_mtu'
	'the other one carries small packets only|gw1|path-mtu|fault_mtu'
	'LAN covers the pool|gw2|pool-overlap|fault_overlap'
	'a route covers the pool|gw2|pool-overlap|fault_route'
	'no route back at the API server|gw1|api-routes|fault_route_back'
	'no VRRP advertisements|gw1|vrrp|fault_vrrp|one'
	'keepalived dead|gw2|keepalived|nothing'
	'TCP/1723 shut|gw2|tcp-1723|fault_listener'
	'GRE filtered|gw2|gre|fault_gre'
	'keepalived.conf edited by hand|gw2|keepalived-conf|fault_keepalived_conf'
	'conntrackd.conf edited by hand|gw2|rendered|fault_conntrackd_conf'
	'forced command changed|gw2|forced-command|fault_forced_command'
	'forced command of the key changed|gw2|forced-command|fault_authorized_keys'
	'known_hosts edited by hand|gw2|known-hosts|fault_known_hosts'
	'wrong host key|gw2|host-key|fault_host_key'
	'key not accepted|gw2|login|fault_login'
	'private key readable by all|gw2|keys|fault_key_mode'
	'secrets readable by all|gw2|secrets-mode|fault_secrets_mode'
	'weak password|gw1|passwords|fault_password'
	'pool outside of the tunnel network|gw1|pptpd-conf|fault_pptpd_conf'
	'disk full|gw2|disk|fault_disk'
	'conntrackd dead|gw2|conntrackd|fault_conntrackd'
	"the other one's conntrackd hangs|gw2|conntrackd|fault_conntrackd_hangs"
	'sshd of the peer dead|gw2|paths|fault_sshd'
	'clock off|gw1|clock|fault_clock'
	'agent dead|gw2|agent|fault_agent'
	'pptpd dead|gw2|pptpd|fault_pptpd'
	'tunnel interface deleted|gw2|tunnel|fault_tunnel'
	'descriptors low|gw2|descriptors|fault_descriptors'
	'in maintenance|gw2|maintenance|fault_maintenance'
	'cluster.conf broken|gw2|cluster|fault_cluster'
)
# What sysctl.conf wants of the machine's table, and what the machine has when we come.
entries=262144
entries_before=$(cat /proc/sys/net/netfilter/nf_conntrack_max 2>/dev/null || echo $entries)
[ "$entries_before" -ge $entries ] || sysctl -qw net.netfilter.nf_conntrack_max=$entries
declare -A node_of=([02:00:00:00:01:64]=client [192.168.1.20]=server)

etc() {
	printf '%s/etc/%s\n' "$(root "$1")" "$2"
}
process() {
	lab_status ".nodes.$1.processes.$2"
}
nothing() {
	:
}

# ---- the faults; each gets the node ----
fault_forwarding() {
	on "$1" sysctl -qw net.ipv4.ip_forward=0
}
fault_rp_filter() {
	on "$1" sysctl -qw net.ipv4.conf.wan.rp_filter=1
}
fault_setting() {
	on "$1" sysctl -qw net.ipv4.conf.all.arp_ignore=0
}
# The table is the machine's, not a namespace's: by one entry, and for a second.
fault_conntrack_max() {
	sysctl -qw net.netfilter.nf_conntrack_max=$((entries - 1))
}
# In a namespace of mounts that only the doctor and the remedy share.
fault_dev_tun() {
	unshare -m --propagation private bash -c 'mount -t tmpfs tmpfs /dev/net; echo ready; exec sleep 60' >"$scratch/mounts" &
	mounts=$!
	background+=("$mounts")
	wait_for 5 grep -q ready "$scratch/mounts"
}
fault_guard() {
	on "$1" nft flush chain inet pptp_ha guard
}
fault_table() {
	on "$1" nft delete table inet pptp_ha
}
fault_rule() {
	on "$1" nft insert rule inet pptp_ha api tcp dport 443 drop
}
fault_tracked() {
	on "$1" nft flush chain inet pptp_ha raw_out
}
fault_helper() {
	on "$1" nft -f - <<-'END'
		table ip old {
			ct helper pptp { type "pptp" protocol tcp; }
			chain pre { type filter hook prerouting priority 0; tcp dport 1723 ct helper set "pptp"; }
		}
	END
}
fault_clamp() {
	on "$1" nft -a list chain inet pptp_ha forward | sed -n 's/.*maxseg.*handle //p' | while read -r handle; do
		on "$1" nft delete rule inet pptp_ha forward handle "$handle"
	done
}
fault_gate() {
	agent "$1" firewall gate open
}
fault_foreign() {
	on "$1" nft 'table ip docker { chain FORWARD { type filter hook forward priority 0; policy drop; }; }'
}
fault_link() {
	on "$1" ip link set lan down
}
fault_address() {
	on "$1" ip addr del 10.255.0.2/30 dev sync
}
fault_duplicate() {
	on client ip addr add 198.51.100.10/32 dev wan
}
fault_mtu() {
	on gw2 ip link set wan mtu 1300
}
fault_overlap() {
	on "$1" ip addr add 10.8.0.129/25 dev lan
}
fault_route() {
	on "$1" ip route add 10.8.0.0/25 via 192.168.1.20
}
fault_route_back() {
	on server ip route replace default via 192.168.1.99
}
fault_vrrp() {
	"$lab" stop gw2 --plain keepalived
	"$lab" stop gw1 --plain keepalived
	on gw1 ip addr show wan | grep -q 198.51.100.10 || true
}
fault_listener() {
	on gw1 nft insert rule inet pptp_ha pptp drop
}
fault_gre() {
	on gw1 nft insert rule inet pptp_ha gre drop
}
fault_keepalived_conf() {
	sed -i 's/nopreempt/#nopreempt/' "$(etc "$1" pptp-ha/keepalived.conf)"
}
fault_conntrackd_conf() {
	sed -i 's/PurgeTimeout 60/PurgeTimeout 600/' "$(etc "$1" pptp-ha/conntrackd.conf)"
}
fault_forced_command() {
	sed -i 's/^ForceCommand .*/ForceCommand \/bin\/sh/' "$(etc "$1" pptp-ha/sshd_config)"
}
fault_authorized_keys() {
	sed -i 's/command="[^"]*"/command="\/bin\/sh"/' "$(etc "$1" pptp-ha/authorized_keys)"
}
fault_known_hosts() {
	sed -i 's/\(AAAA[^ ]*\)...$/\1AAA/' "$(etc "$1" pptp-ha/known_hosts)"
}
# The other gateway was installed anew.
fault_host_key() {
	local key
	key=$(etc gw1 pptp-ha/ssh/host_ed25519)
	rm "$key" "$key.pub"
	agent gw1 keys init
	"$lab" restart gw1 sshd
}
# This gateway was, and the other one has its old key.
fault_login() {
	local key
	key=$(etc gw2 pptp-ha/ssh/id_ed25519)
	rm "$key" "$key.pub"
	agent gw2 keys init
}
fault_key_mode() {
	chmod 644 "$(etc "$1" pptp-ha/ssh/id_ed25519)"
}
fault_secrets_mode() {
	chmod 644 "$(etc "$1" ppp/chap-secrets)"
}
fault_password() {
	echo 'weakling pptpd letmein1 *' >>"$(etc "$1" ppp/chap-secrets)"
}
fault_pptpd_conf() {
	sed -i 's/^remoteip .*/remoteip 10.9.0.2-254/' "$(etc "$1" pptpd.conf)"
}
fault_disk() {
	mount -t tmpfs -o size=200m tmpfs "$(root "$1")/var/log"
	mounted=$(root "$1")/var/log
	dd if=/dev/zero of="$mounted/old.log" bs=1M count=198 status=none
}
fault_conntrackd() {
	fault "$1" kill-conntrackd
}
fault_conntrackd_hangs() {
	kill -STOP "$(process gw1 conntrackd)"
}
fault_sshd() {
	fault gw1 kill-sshd
}
# The machine has one clock: what the other agent calls its time is put forward by a library.
fault_clock() {
	cat >"$scratch/clock.c" <<-'END'
		#include <sys/syscall.h>
		#include <time.h>
		#include <unistd.h>
		int clock_gettime(clockid_t id, struct timespec *t)
		{
			int rc = (int)syscall(SYS_clock_gettime, id, t);
			if (id == CLOCK_REALTIME)
				t->tv_sec += 90;
			return rc;
		}
	END
	cc -shared -fPIC -o "$scratch/clock.so" "$scratch/clock.c" && chmod 755 "$scratch" &&
		"$lab" stop gw2 --plain agent && LD_PRELOAD=$scratch/clock.so "$lab" heal gw2
}
fault_agent() {
	fault "$1" kill-agent
}
fault_pptpd() {
	fault "$1" kill-pptpd
}
fault_tunnel() {
	on "$1" ip link del pppha0
}
# Of the monitor: to change the engine's takes a capability that not every machine's root has.
fault_descriptors() {
	prlimit --pid "$(process "$1" pptpd)" --nofile=100:
}
fault_maintenance() {
	agent "$1" maintenance on
}
fault_cluster() {
	sed -i 's/mtu = 1400/mtu = huge/' "$(etc "$1" pptp-ha/cluster.conf)"
}

# ---- remedies ----
# What the operator's host has, for one node.
make_tools() {
	local node
	for node in gw1 gw2 client server; do
		mkdir -p "$scratch/$node"
		cat >"$scratch/$node/systemctl" <<-END
			#!/bin/bash
			verb=\$1
			shift
			for unit; do
				case \$unit in
				hagent) name=agent ;;
				pptp-ha-sshd) name=sshd ;;
				systemd-timesyncd) name=agent ;; # it has the clock that was put forward
				*) name=\$unit ;;
				esac
				case \$verb.\$unit in
				reload.pptp-ha-guard) hagent guard load ;;
				reload.pptp-ha-firewall) hagent firewall apply ;;
				reload.pptp-ha-sysctl) sysctl -q -e -p $(root $node)/etc/pptp-ha/sysctl.conf 2>/dev/null ;;
				reload.*) kill -HUP \$($lab status | jq .nodes.$node.processes.\$name) ;;
				*) nsenter --net=/proc/$$/ns/net $lab restart $node --plain \$name >/dev/null ;;
				esac
			done
		END
		cat >"$scratch/$node/hagent" <<-END
			#!/bin/bash
			exec \$PHA_HAGENT --node $node --root $(root $node) "\$@"
		END
		cat >"$scratch/$node/scp" <<-'END'
			#!/bin/bash
			exec cp "$PHA_ROOTS/${1/://}" "$2"
		END
		chmod 755 "$scratch/$node"/*
	done
}

# run_at NODE COMMAND: as that node's operator
run_at() {
	# Of the machine's own: a namespace may not change it.
	if [[ $2 == *nf_conntrack_max* ]]; then
		bash -c "$2"
		return
	fi
	PHA_HAGENT=$programs/hagent/hagent PHA_ROOTS=$(dirname "$(root gw1)") inside \
		"$lab" exec "$1" env PATH="$scratch/$1:$PATH" bash -c "yes 2>/dev/null | { $2; }"
}
# inside COMMAND...: in the namespace of mounts of fault_dev_tun, while it lasts
inside() {
	if [ -n "${mounts:-}" ]; then
		nsenter -m -t "$mounts" --wd="$PWD" "$@"
	else
		"$@"
	fi
}

# doctor NODE [THEME]: its JSON, into $scratch/doctor.NODE
doctor() {
	inside "$lab" exec "$1" "$programs/hagent/hagent" --node "$1" --root "$(root "$1")" doctor --json ${2:+"$2"} >"$scratch/doctor.$1"
}
# found NODE CHECK: its answer, as one line of JSON
found() {
	jq -c --arg name "$2" '.checks[] | select(.name == $name)' "$scratch/doctor.$1"
}
# not_well NODE: what is not ok, "check=verdict …"
not_well() {
	jq -r '[.checks[] | select(.verdict != "ok") | "\(.name)=\(.verdict)"] | join(" ")' "$scratch/doctor.$1" || echo none
}
is_well() {
	doctor "$1" "${2:-}"
	[ -z "$(not_well "$1")" ]
}
both_well() {
	doctor gw1 &
	doctor gw2
	wait $!
	[ -z "$(not_well gw1)$(not_well gw2)" ]
}
# The first exchange of files may take a minute; an operator who does not wait pushes.
files_in_step() {
	agent gw1 sync push && agent gw2 sync push && wait_for 10 both_well
}

# change_line FILE LINE CHANGE: what an editor does to that line
change_line() {
	local wanted
	case $3 in
	remoteip*) wanted='remoteip 10.8.0.2-254' ;;
	*password*) wanted="weakling pptpd $(openssl rand -base64 12) *" ;;
	*mtu*) wanted='	mtu = 1400' ;;
	*) return 1 ;;
	esac
	sed -i "$2s/.*/${wanted//\//\\/}/" "$1"
}

# carry_out NODE ANSWER: the remedy of an answer that this node gave
carry_out() {
	local where command file key node=$1
	command=$(field "$2" .remedy.command)
	where=$(field "$2" .remedy.where)
	file=$(field "$2" .remedy.file)
	if [ -n "$file" ]; then
		change_line "$file" "$(field "$2" .remedy.line)" "$(field "$2" .remedy.change)"
		return
	fi
	[ -n "$command" ] || return 1
	for key in gw1 gw2; do
		[[ $where != *"$key"* ]] || node=$key
	done
	for key in "${!node_of[@]}"; do
		[[ $where != *"$key"* ]] || node=${node_of[$key]}
	done
	run_at "$node" "$command"
}

# one_well NODE CHECK
one_well() {
	doctor "$1"
	[ "$(field "$(found "$1" "$2")" .verdict)" = ok ]
}

# mended NODE CHECK ONE
mended() {
	if [ -n "$3" ] || [ -n "${mounts:-}" ]; then
		wait_for 10 one_well "$1" "$2"
	else
		wait_for 25 both_well && settled gw1
	fi
}

# remedy ANSWER: in words
remedy() {
	jq -r '.remedy | if .command then (if .where then "on \(.where): " else "" end) + .command
	    else "\(.file):\(.line): \(.change)" end' <<<"$1" 2>&1
}

# try_fault ROW: the fault alone, found, named and mended
try_fault() {
	local name node what make one answer
	IFS='|' read -r name node what make one <<<"$1"
	"$make" "$node" >"$scratch/made" 2>&1 || not_ok "$name: the fault can be made" "$(cat "$scratch/made")"
	doctor "$node"
	answer=$(found "$node" "$what")
	check_match "$name: $what finds it" "$answer" '"verdict":"(problem|warning)"'
	note "seen: $(field "$answer" .seen)" "mend: $(remedy "$answer")" "not ok on $node: $(not_well "$node")"
	carry_out "$node" "$answer" >"$scratch/mended" 2>&1 ||
		not_ok "$name: its remedy can be run" "$(tail -5 "$scratch/mended")"
	if mended "$node" "$what" "$one"; then
		ok "$name: mended by its remedy"
	else
		not_ok "$name: mended by its remedy" "gw1: $(not_well gw1)" "gw2: $(not_well gw2)" \
		    "$(found "$node" "$what")" "$(tail -5 "$scratch/mended")"
	fi
	if [ -n "${mounts:-}" ]; then
		kill "$mounts"
		mounts=
	fi
	if [ -n "${mounted:-}" ]; then
		umount -l "$mounted"
		mounted=
	fi
}

end_of_doctor() {
	local status=$?
	[ -z "${mounts:-}" ] || kill "$mounts"
	[ -z "${mounted:-}" ] || umount -l "$mounted"
	[ "$(cat /proc/sys/net/netfilter/nf_conntrack_max)" = "$entries_before" ] || sysctl -qw net.netfilter.nf_conntrack_max="$entries_before"
	(exit $status)
	end_of_pair
}
trap end_of_doctor EXIT
