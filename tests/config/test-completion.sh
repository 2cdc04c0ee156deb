#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# bash completion of hagent: it offers every command, word and option of the table that `hagent --help`
# shows, in its place, and nothing else; and names of nodes from cluster.conf.
. "$(dirname "$0")/../lab/lib.sh"
cmake --build "$build" --target hagent >/dev/null || exit 1
hagent=$build/hagent/hagent
# shellcheck source=/dev/null
. "$top/deploy/completion/hagent"

# offered WORD...: what the Tab key shows behind these words, in one line; the last word is what is begun
offered() {
	COMP_WORDS=("$hagent" "$@")
	COMP_CWORD=$#
	COMPREPLY=()
	_hagent
	echo "${COMPREPLY[*]}" | tr ' ' '\n' | sort -u | paste -sd' ' -
}

check_match "it is bound to the name" "$(complete -p hagent 2>&1)" '-F _hagent hagent'
rows=$("$hagent" --help | sed -n 's/^  \([a-z]\)/\1/p')
commands=$(cut -d' ' -f1 <<<"$rows")
check "the table has rows" [ "$(wc -l <<<"$rows")" -ge 20 ]
check_eq "commands and common options" "$(offered '')" \
    "$(printf '%s\n' $commands --help --node --root --version | sort -u | paste -sd' ' -)"
for command in $commands; do
	check_match "$command: by its beginning" " $(offered "${command%?}") " " $command "
done
cd "$scratch" || exit 1 # no files, so that nothing but the table's own words is offered

# all_offered DEPTH WORD...: everything that is offered behind these words and what may follow them; a value
# stands where no word of the table does
all_offered() {
	local depth=$1 got next
	shift
	got=$(offered "$@" '')
	echo "$got"
	[ "$depth" -gt 0 ] || return
	next=$(tr ' ' '\n' <<<"$got" | grep -v '^-')
	for got in ${next:-1}; do
		all_offered $((depth - 1)) "$@" "$got"
	done
}
while read -r command arguments; do
	# Literal words begin with a small letter or stand in a list without spaces.
	words=$(grep -oE -- '--?[a-z][a-z-]*|\b[a-z][a-z-]*\b|\b[A-Z]+\|[A-Z]+\b' <<<"${arguments//ID.pub HOST.pub/}" |
	    tr '|' '\n' | sort -u)
	[ -n "$words" ] || continue
	# Values of --user, WHEN and so on are no words of the table.
	depth=2
	[[ $arguments != *' '[A-Z]*' '[a-z]* ]] || depth=4
	got=$(all_offered $depth "$command" | tr ' ' '\n' | sort -u)
	for word in $words; do
		check "$command: offers $word" grep -qxF -- "$word" <<<"$got"
	done
	check_eq "$command: and nothing else" "$(comm -13 <(echo "$words") <(echo "$got") | grep -v '^$' | paste -sd' ' -)" ""
done <<<"$rows"

# In its place, and not elsewhere.
check_eq "guard" "$(offered guard '')" "hold load status unload"
check_eq "guard hold" "$(offered guard hold '')" "off on"
check_eq "guard hold on" "$(offered guard hold on '')" "calls unknown"
check_eq "guard load" "$(offered guard load '')" ""
check_eq "maintenance" "$(offered maintenance '')" "off on"
check_eq "maintenance on" "$(offered maintenance on '')" "--force"
check_eq "maintenance off" "$(offered maintenance off '')" ""
check_eq "status --j" "$(offered status --j)" "--json"
check_eq "a number is asked for: nothing is offered" "$(offered journal --limit '')" ""
check_eq "no such command" "$(offered nonsense '')" ""
mkdir -p "$scratch/root/etc/pptp-ha"
cp "$top/tests/config/cluster.full.conf" "$scratch/root/etc/pptp-ha/cluster.conf"
check_eq "nodes are those of cluster.conf" "$(offered --root "$scratch/root" --node '')" "gw-a gw-b"
check_eq "also with =" "$(offered --root = "$scratch/root" --node = gw)" "gw-a gw-b"
check_eq "and for an option's value" "$(offered --root "$scratch/root" log --of '')" "gw-a gw-b"
check_eq "the common options take no command's place" "$(offered --node gw1 maintenance on --)" "--force"
check_eq "folders for --root" "$(offered --root "$scratch/ro")" "$scratch/root"
