#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The manual pages: they can be formatted without a complaint, name every subcommand, verb and option
# that the programs name themselves, and nothing that the programs do not have.
. "$(dirname "$0")/../lab/lib.sh"
cmake --build "$build" --target hagent pptpd >/dev/null || exit 1
docs=$top/docs
hagent=$build/hagent/hagent

for page in "$docs"/*.[58]; do
	if command -v mandoc >/dev/null; then
		# STYLE is taste; what systems differ in is no mistake of ours.
		check_eq "mandoc: ${page##*/}" "$(mandoc -Tlint "$page" 2>/dev/null | grep -E 'WARNING|ERROR|UNSUPP')" ""
	else
		skip "mandoc: ${page##*/}" "mandoc is not installed"
	fi
	if command -v groff >/dev/null; then
		check_eq "groff: ${page##*/}" "$(groff -mdoc -ww -z -Tutf8 "$page" 2>&1)" ""
	else
		skip "groff: ${page##*/}" "groff is not installed"
	fi
done

# Text without its macros, one entry a line: what stands behind .It and its continuation.
entries() {
	sed -e ':a;/^\.It Xo/{N;/\n\.Xc/!ba;s/\n//g}' "$1" | sed -n 's/^\.It //p' |
		sed -E 's/(^| |\.)(Xo|Xc|Cm|Ar|Op|Oo|Oc|Ns|Ic)( |$)/ /g; s/\.Op/ /g; s/(^| )Fl -/ --/g; s/(^| )Fl / -/g; s/\| -([a-z])/| --\1/g; s/(^| )(Xo|Xc|Cm|Ar|Op|Oo|Oc|Ns|Ic) / /g'
}
entries "$docs/hagent.8" >"$scratch/hagent"
while read -r name rest; do
	text=$(grep -E "^ *$name( |\$)" "$scratch/hagent")
	check_match "hagent.8: $name" "$text" "$name"
	for word in $(grep -oE -- '--?[a-z][a-z-]*|\b[a-z]+\b' <<<"$rest"); do
		check_match "hagent.8: $name $word" "$text" "(^|[^a-z-])$word([^a-z-]|\$)"
	done
done < <("$hagent" --help | sed -n 's/^  \([a-z]\)/\1/p')
commands=$("$hagent" --help | sed -n 's/^  \([a-z-]*\) .*/\1/p')
for name in $(sed -n '/^\.Ss Looking/,/^\.Sh TRANSITIONS/p' "$docs/hagent.8" | sed -n 's/^\.It \(Xo \)\?Cm \([a-z-]*\).*/\2/p' | sort -u); do
	check "hagent $name exists" grep -qx "$name" <<<"$commands"
done
entries "$docs/pptpd.8" >"$scratch/pptpd"
for word in $("$build/pptpd/pptpd" --help | grep -oE '^ +(-[a-zA-Z], )?--[a-z]+' | grep -oE -- '--[a-z]+'); do
	check "pptpd.8: $word" grep -qE -- "(^|[ ,-])${word#-}" "$scratch/pptpd"
done
# Steps of a transition, as the agent names them.
for step in $(sed -n 's/^    {"\([a-z-]*\)", [0-9], T_.*/\1/p' "$top/hagent/agent_steps.c" | sort -u); do
	check "hagent.8: step $step" grep -qE "^\.Cm $step( |\$)" "$docs/hagent.8"
done
# Every problem that hagent status can name has its row in the operator's guide.
for code in $(grep -oE '"[a-z]+(-[a-z]+)*"' <(sed -n '/^judge_daemon/,/^health_must_yield/p' "$top/hagent/health.c" |
	grep -oE '(HEALTH_[A-Z]+, "[a-z-]+"|, "[a-z-]+",$|"(keepalived|conntrackd|sshd)",)') | tr -d '"' | sort -u); do
	check "operators-guide.md: $code" grep -q "\`$code\`" "$docs/operators-guide.md"
done
