# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the scripts about the replica stream share; comes after lib.sh, client.sh, pair.sh and takeover.sh.
#
# trouble NAME COMMAND... is one trouble of the stream under load: a mark, the command, the window ends. Its
# figures go to $window and to one line of the table; what the daemon counted meanwhile is in that line too.
# shellcheck shell=bash
replica_py=$top/tests/lab/replica.py

# rep NODE FILTER: of its daemon's replica, as its agent heard it last: a daemon without memory answers no more
rep() {
	agent "$1" status --json | jq -r ".replica | $2"
}
# is_state NODE STATE
is_state() {
	[ "$(rep "$1" .state)" = "$2" ]
}
has_marker() {
	[ -e "$(root "$1")/var/lib/pptp-ha/alone" ]
}
has_no_marker() {
	! has_marker "$1"
}
# counted NODE: what its data plane held, what it dropped for want of a mark; what its replica counted
counted() {
	{ agent "$1" pptpd status 2>/dev/null || echo '{}'; } |
	    jq -c '{held: (.data.held // 0), dropped: (.data.drops.mark // 0), shorts: (.replica.shorts // 0)}'
}
# classes NODE: the classes of keys that its sessions may use, with their number, e.g. "all:50"
classes() {
	local after=0 page
	while :; do
		page=$(agent "$1" pptpd sessions after="$after" limit=500)
		jq -r '.sessions[].replica.classes' <<<"$page"
		after=$(jq '.next // empty' <<<"$page")
		[ -n "$after" ] || break
	done | sort | uniq -c | awk '{ print $2 ":" $1 }' | paste -sd' ' -
}

# ---- the stream's states ----

start_watch() { # NODE
	[ -p "$scratch/watch" ] || mkfifo "$scratch/watch"
	exec {watch_in}<>"$scratch/watch"
	exec {watch_out}< <(exec "$replica_py" watch "$(root "$1")" <"$scratch/watch")
	read -r -t 5 _ <&"$watch_out"
}
# end_watch: the states it saw, in $states; the most of its figures, in $most
end_watch() {
	local line
	printf 'quit\n' >&"$watch_in"
	states=
	most=
	while read -r -t 5 line <&"$watch_out"; do
		case $(field "$line" .event) in
		state) states+="${states:+ }$(field "$line" .state)" ;;
		most) most=$line ;;
		esac
	done
	exec {watch_in}>&- {watch_out}<&-
}

trouble_head() {
	printf '# %-28s %-9s %-27s %5s %5s %9s %7s %6s %7s %6s  %s\n' trouble sessions \
	    "gap ms min/median/p99/max" lost again packets missing held dropped shorts states
}
# trouble NAME COMMAND...: on the node that serves
trouble() {
	local name=$1 active before after status
	shift
	active=$(master)
	before=$(counted "$active")
	start_watch "$active"
	window='{}'
	load_say "mark trouble" && load_answer mark || return 1
	"$@"
	status=$?
	load_say window && load_answer window || return 1
	window=$answer
	end_watch
	after=$(counted "$active")
	counts=$(jq -cn --argjson a "$after" --argjson b "$before" '$a | with_entries(.value -= $b[.key])')
	jq -r --arg name "$name" --argjson c "$counts" --arg states "$states" '
	    def n: if . == null then "-" else . * 10 | round / 10 | tostring end;
	    [$name, .up, ([.gap_ms.min, .gap_ms.median, .gap_ms.p99, .gap_ms.max] | map(n) | join("/")), .lost, .redials,
	     .packets_sent, .packets_lost, $c.held, $c.dropped, $c.shorts, $states] | @tsv' <<<"$window" |
	    while IFS=$'\t' read -r -a v; do
		printf '# %-28s %-9s %-27s %5s %5s %9s %7s %6s %7s %6s  %s\n' "${v[@]}"
	    done
	return $status
}
# check_trouble NAME COMMAND...: no session is lost
check_trouble() {
	local name=$1
	did "$name: as it should" trouble "$@"
	check_eq "$name: no session of $load_sessions is lost" "$(w '"\(.up) up, \(.lost) lost, \(.redials) redials"')" \
	    "$load_sessions up, 0 lost, 0 redials"
	[ "$(w .lost)" = 0 ] || note "lost: $(w '.losses | tojson')"
}
# check_kept NAME: of the last trouble, no packet is missing
check_kept() {
	check_eq "$1: no packet is lost" "$(w .packets_lost)" 0
}
