#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# docs/model/check.sh [--deep]: searches takeover.pml with spin.
#
# The model as it stands must show no error in a complete search. Then one rule after the other is
# taken away, and each time an error must be found. Needs spin and gcc. --deep: larger sizes, some minutes.
set -u
model=$(cd "$(dirname "$0")" && pwd)/takeover.pml
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
safety="-DEPOCHS=3 -DREBOOTS=1 -DKEYS=5"
live="-DLIVE -DEPOCHS=2 -DREBOOTS=1 -DKEYS=6"

# search NAME DEFINES OPTIMIZE: pan's answer ends in $work/NAME/out; fails if there is none.
# For a short search gcc's own time is the longer one.
search() {
	local how=-DSAFETY flags=
	[[ $2 != *-DLIVE* ]] || how='' flags=-a
	mkdir "$work/$1" && cd "$work/$1" || return 1
	# shellcheck disable=SC2086
	spin $2 -a "$model" >spin.log 2>&1 &&
		gcc -w "$3" $how -DNOREDUCE -DMEMLIM=4000 -o pan pan.c >>spin.log 2>&1 ||
		{ cat spin.log; return 1; }
	./pan $flags -m200000 -w23 >out 2>&1
}

# holds NAME DEFINES TEXT: the search is complete and shows no error
holds() {
	local states
	if search "$1" "$2" -O1 && grep -q 'errors: 0$' "$work/$1/out" &&
		! grep -qE 'not completed|too small|out of memory|aborted' "$work/$1/out"; then
		states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "$work/$1/out")
		echo "ok - $3 ($states states)"
	else
		echo "not ok - $3"
		cat "$work/$1/out"
	fi
}

# caught NAME DEFINES ERROR TEXT: the search finds that error
caught() {
	if search "$1" "$2 -DBROKEN_$1" -O0 && grep -qE "^pan:1: $3" "$work/$1/out"; then
		echo "ok - caught: $4"
	else
		echo "not ok - caught: $4"
		cat "$work/$1/out"
	fi
}

two_uses='assertion violated.*used'
whole() {
	holds safe "$safety" "no key twice, one active, no stale copy"
	holds live "$live" "the survivor goes on, the lower epoch falls silent"
	[ -z "$deep" ] || holds deep1 "-DEPOCHS=3 -DREBOOTS=2 -DKEYS=5" "as the first, two reboots"
	[ -z "$deep" ] || holds deep2 "-DEPOCHS=4 -DREBOOTS=1 -DKEYS=7 -DBLOCK=2" "as the first, wider marks"
}

broken() {
	caught MARK "$safety" "$two_uses" "a mark is used before it is applied"
	caught PARITY "$safety" "$two_uses" "parity is ignored under silence"
	caught EPOCH "$safety" 'assertion violated.*heard' "a lower epoch is accepted"
	caught STALE "$safety" 'assertion violated' "consent without marking the copy stale"
	caught MARKER "$safety" "$two_uses" "silence without the marker"
	caught REOPEN "$safety" "$two_uses" "a clean HELLO opens a closed class"
	caught EARLY "$safety" "$two_uses" "every key after silence before the mark is applied"
	caught CUT "$safety" "$two_uses" "odd stays open because the active was not silent"
	caught FOLDER "$safety" "$two_uses" "an epoch file made before the node is in step"
	caught CONSENT "$safety" "$two_uses" "consent of a node that is not clean frees every key"
	caught EXACT "$safety" "$two_uses" "a handover's exact mark is named and not obeyed"
	caught BOOT "$live" 'acceptance cycle' "a class closed at each HELLO of the same boot"
	caught SILENCE "$live" 'acceptance cycle' "no silence: the active waits for ever"
}

deep=
[ "${1:-}" != --deep ] || deep=1
whole >"$work/whole" &
broken >"$work/broken"
wait
cat "$work/whole" "$work/broken"
! grep -q '^not ok' "$work/whole" "$work/broken"
