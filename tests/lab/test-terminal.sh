#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What an operator sees: hagent status on a terminal, in a pipe and without colours, its answers and exit
# statuses while things break, --watch; hagent log, both gateways in order of time, each line once, over a
# failover and back; the line of progress of a planned move.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/client.sh"
. "$(dirname "$0")/pair.sh"

escape=$'\033'
# on_terminal COLUMNS ROWS SECONDS NODE ARGUMENTS...: hagent on a terminal; what it writes
on_terminal() {
	local columns=$1 rows=$2 seconds=$3 node=$4
	shift 4
	"$top/tests/lab/terminal.py" "$columns" "$rows" "$seconds" "$lab" exec "$node" \
	    env TERM=xterm "$programs/hagent/hagent" --node "$node" --root "$(root "$node")" "$@" >"$scratch/terminal"
	local status=$?
	tr -d '\r' <"$scratch/terminal"
	return $status
}
# plain: without colours and the like
plain() {
	sed "s/$escape\[[0-9;?]*[A-Za-z]//g"
}
widest() {
	plain | awk '{ if (length($0) > n) n = length($0) } END { print n + 0 }'
}
# answers NODE WORD STATUS: the first line of status, and how it exits
answers() {
	local text status
	text=$(agent "$1" status 2>/dev/null)
	status=$?
	[[ $text == "$2  "* ]] && [ $status = "$3" ]
}
check_answers() {
	if wait_for 8 answers "$2" "$3" "$4"; then
		ok "$1"
		note "$2: $(agent "$2" status 2>/dev/null | head -1)"
	else
		not_ok "$1" "want $3 and exit status $4 of:" "$(agent "$2" status 2>&1 | head -3)"
	fi
}

need_lab --advert 0.1
check_answers "gw1 says that the pair is safe" gw1 SAFE 0
check_answers "gw2 says so, too" gw2 SAFE 0

# ---- terminals ----
text=$(on_terminal 80 24 5 gw1 status)
check "on a terminal: it has colours" grep -q "$escape\[1;32mSAFE$escape\[0m  gw1 serves" <<<"$text"
check "on a terminal: one screen" [ "$(wc -l <<<"$text")" -le 23 ]
check "on a terminal: no line is too wide" [ "$(widest <<<"$text")" -le 80 ]
text=$(on_terminal 50 9 5 gw2 status)
check "on a small one: no line is too wide" [ "$(widest <<<"$text")" -le 50 ]
check "on a small one: one screen" [ "$(wc -l <<<"$text")" -le 8 ]
check_match "on a small one: the answer is there" "$(plain <<<"$text")" '^SAFE  gw1 serves'
check_eq "NO_COLOR: no colours" "$(NO_COLOR=1 on_terminal 80 24 5 gw1 status | grep -c "$escape")" 0
check_eq "in a pipe: no colours" "$(agent gw1 status | grep -c "$escape")" 0

# ---- the log ----
agent gw2 log --json --limit 100000 >"$scratch/log"
check_eq "log: both gateways" "$(jq -r .node "$scratch/log" | sort -u | paste -sd' ')" "gw1 gw2"
check "log: in order of time" sort -c <(jq -r .time "$scratch/log")
check_match "log: programs of all kinds" "$(jq -r .program "$scratch/log" | sort -u | paste -sd' ')" 'hagent hagent-link.* journal pptpd'
check_eq "log: the parts of a line are fields" \
    "$(jq -r 'select(.node == "gw1" and .event == "transition" and .fields.kind == "MASTER") | .fields.result' "$scratch/log")" "done"
check_eq "log --of gw1, asked on gw2" "$(agent gw2 log --of gw1 --json | jq -r .node | sort -u)" gw1
logs=()
for i in 1 2 3 4; do
	agent gw2 log --of gw1 --limit 5 >"$scratch/log.$i" 2>&1 &
	logs+=($!)
done
statuses=
for pid in "${logs[@]}"; do
	wait "$pid"
	statuses="$statuses $?"
done
check_eq "log: four who ask at once are all answered" "$statuses" " 0 0 0 0"
check_eq "log: each gets its lines" "$(grep -c ' gw1 ' "$scratch"/log.[1-4] | cut -d: -f2 | paste -sd' ')" "5 5 5 5"
agent gw1 log --of gw3 >"$scratch/said" 2>&1
check_match "log --of a stranger" "$(cat "$scratch/said")" 'got "gw3", want gw1 or gw2'
agent gw1 log --since yesterday >"$scratch/said" 2>&1
check_eq "log --since of no sense: exit status" $? 2
check_match "log --since of no sense" "$(cat "$scratch/said")" 'since: got "yesterday", want 90s'

# ---- a failover, watched ----
"$lab" exec gw2 "$programs/hagent/hagent" --node gw2 --root "$(root gw2)" status --watch >"$scratch/watch" 2>&1 &
background+=($!)
watch_pid=$!
"$lab" exec gw2 "$programs/hagent/hagent" --node gw2 --root "$(root gw2)" log --follow --json --limit 1 >"$scratch/follow" 2>"$scratch/follow.err" &
background+=($!)
follow_pid=$!
"$top/tests/lab/terminal.py" 80 24 60 "$lab" exec gw2 env TERM=xterm "$programs/hagent/hagent" --node gw2 \
    --root "$(root gw2)" status --watch >"$scratch/screen" &
background+=($!)
screen_pid=$!
for file in watch screen follow; do
	check "$file: it runs" wait_for 10 [ -s "$scratch/$file" ]
done
fault gw1 power
check "--watch on a terminal: at risk" wait_for 8 grep -q "AT RISK" "$scratch/screen"
check_answers "gw1 is off: at risk" gw2 "AT RISK" 1
"$lab" heal gw1
check_answers "gw1 is back: safe" gw2 SAFE 0
check_answers "gw1 thinks so, too" gw1 SAFE 0
check "--watch on a terminal: safe again" wait_for 8 eval 'tail -c 3000 "$scratch/screen" | grep -q "SAFE.*gw1 holds a current copy"'
kill $screen_pid
wait $screen_pid
status=$?
shown=$(sed "s/$escape\[H/\n/g" "$scratch/screen" | plain | grep -oE '^(SAFE|AT RISK|DOWN)' | uniq | paste -sd' ')
check "--watch on a terminal, Ctrl-C: the cursor and the old page are back" \
    grep -q "$escape\[?25h$escape\[?1049l\$" "$scratch/screen"
check_match "--watch has shown what was the case" "$shown" 'SAFE AT RISK.* SAFE'
check_eq "--watch exits as status does" $status 0
check "log --follow: what gw1 said meanwhile has come" wait_for 10 grep -q '"gw1".*"engine started"' "$scratch/follow"
kill $watch_pid $follow_pid
wait $watch_pid $follow_pid
check_match "--watch in a pipe: a line for each change" "$(awk '{ print $2 }' "$scratch/watch" | paste -sd' ')" '^SAFE AT.* SAFE$'
check_match "log --follow says that gw1 is silent" "$(cat "$scratch/follow.err")" 'no log of gw1: .*what it missed comes'
# Each line that the two wrote from the first one shown to the last stands there once.
first=$(head -1 "$scratch/follow" | jq -r .time)
last=$(jq -r .time "$scratch/follow" | sort | tail -1)
for node in gw1 gw2; do
	cat "$(root $node)"/var/log/{pptpd,agent,web}.log 2>/dev/null | grep -aE '^2[0-9T:.-]+Z ' |
	    awk -v a="$first" -v b="$last" '$1 > a && $1 <= b' | cut -d' ' -f4- | sort >"$scratch/want"
	jq -r --arg n $node --arg a "$first" 'select(.node == $n and .time > $a and .program != "journal" and .program != "sync") | .text' \
	    "$scratch/follow" | sort >"$scratch/got"
	check "log --follow: $(wc -l <"$scratch/want") lines of $node" [ -s "$scratch/want" ]
	check_eq "log --follow: of $node nothing is missing, nothing is there twice" "$(diff "$scratch/want" "$scratch/got")" ""
done

# ---- a planned move ----
check "all is well" wait_for 8 settled gw2
on_terminal 80 24 30 gw2 switchover >"$scratch/move"
check_eq "switchover on a terminal: exit status" $? 0
check_match "it shows how far it is" "$(cat "$scratch/move")" "(moving to gw1|the sessions|waiting)"
check_match "and wipes that away" "$(tr -d '\n' <"$scratch/move")" "$escape\[K$escape?\[?K?gw1 serves:"
check_answers "after it: safe" gw1 SAFE 0

# ---- down ----
fault gw1 link-wan
fault gw2 link-wan
fault gw1 kill-pptpd
fault gw2 kill-pptpd
check_answers "nobody serves: down" gw2 DOWN 3
"$lab" heal gw1
"$lab" heal gw2
