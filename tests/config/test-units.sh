#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The units of deploy/systemd: every program that they start exists and knows the words that it is
# given, systemd-analyze has nothing to say about them, and an installation has all of it in place.
. "$(dirname "$0")/../lab/lib.sh"
PATH=$PATH:/usr/sbin:/sbin
cmake --build "$build" --target hagent pptpd >/dev/null || exit 1
units=$scratch/units
cp -r "$top/deploy/systemd" "$units"
for unit in "$units"/*.in; do
	sed "s|@SBINDIR@/\([a-z]*\)|$build/\1/\1|" "$unit" >"${unit%.in}"
	rm "$unit"
done
sed -i "s|/usr/sbin/hagent |$build/hagent/hagent |" "$units"/*.d/*.conf
files=$(cd "$units" && ls ./*.service ./*.target ./*.d/*.conf)
check_eq "no placeholder is left" "$(cd "$units" && grep -l '@[A-Z]*@' $files)" ""

# --- every command line -------------------------------------------------------------------------
# help PROGRAM: what it says of its words
help() {
	"$1" --help 2>&1 || "$1" -h 2>&1
}
# knows TEXT WORD: the word stands in the text as a whole
knows() {
	grep -qE -- "(^|[^[:alnum:]-])$2([^[:alnum:]-]|$)" <<<"$1"
}
# hagent_knows HELP WORD...: options, the subcommand, and its verb in that subcommand's own line
hagent_knows() {
	local text=$1 line= word
	shift
	while [ $# -gt 0 ]; do
		word=$1
		shift
		if [ -z "$line" ] && [[ $word != -* ]]; then
			line=$(grep -E "^  $word( |$)" <<<"$text") || return 1
			continue
		fi
		[[ $word == %* ]] || knows "${line:-$text}" "$word" || return 1
		[[ $word != --node && $word != --root ]] || shift
	done
	[ -n "$line" ]
}
# options_known HELP WORD...: each that begins with a dash
options_known() {
	local text=$1 word
	shift
	for word in "$@"; do
		[[ $word != -* ]] || knows "$text" "$word" || return 1
	done
}
n=0
while IFS= read -r line; do
	unit=${line%%:*}
	read -r -a words <<<"${line#*=}"
	program=${words[0]-}
	program=${program#-}
	[ -n "$program" ] || continue # only empties the list
	n=$((n + 1))
	if [[ $program != "$build"/* ]] && [ ! -x "$program" ]; then
		skip "$unit: ${words[*]}" "no $program here"
		continue
	fi
	case ${program##*/} in
	hagent) check "$unit: hagent ${words[*]:1}" hagent_knows "$(help "$program")" "${words[@]:1}" ;;
	pptpd | keepalived) check "$unit: ${program##*/} ${words[*]:1}" options_known "$(help "$program")" "${words[@]:1}" ;;
	*) check "$unit: ${program##*/}" test -x "$program" ;;
	esac
done < <(cd "$units" && for file in $files; do
	sed -e ':a;/\\$/{N;s/\\\n[[:space:]]*//;ba' -e '}' "$file" | grep -E '^Exec[A-Za-z]*=' | sed "s|^|${file#./}:|"
done)
check "all of them were looked at" test "$n" -ge 16
check_fails "the check finds a verb that is none" hagent_knows "$(help "$build/hagent/hagent")" guard stand
check_fails "and an option" options_known "$(help "$build/pptpd/pptpd")" --rolle
# Every rendered file that a unit waits for is one that hagent renders.
rendered=$(sed -n 's|^#define HAGENT_[A-Z]* *HAGENT_ETC "\(/[a-z_.]*\)"|/etc/pptp-ha\1|p' "$top/hagent/hagent.h")
for path in $(cd "$units" && cat $files | sed -n 's|^ConditionFileNotEmpty=\(/etc/pptp-ha/.*\)|\1|p' | sort -u); do
	check "$path is a file of hagent's" grep -qxF "$path" <<<"$rendered"
done
for service in $(sed -n 's/^Wants=//p' "$units/pptp-ha.target"); do
	check "the target's $service is here" test -e "$units/$service" -o -d "$units/$service.d"
done

# --- systemd ------------------------------------------------------------------------------------
verify() {
	(cd "$units" && SYSTEMD_UNIT_PATH=$units: systemd-analyze verify --man=no "$@" 2>&1)
}
if ! command -v systemd-analyze >/dev/null; then
	skip "systemd-analyze verify" "systemd is not installed"
else
	for unit in $(cd "$units" && ls ./*.service ./*.target); do
		check_eq "systemd-analyze verify ${unit#./}" "$(verify "$unit")" ""
	done
	for service in keepalived conntrackd; do
		if [ -e /lib/systemd/system/$service.service ]; then
			check_eq "systemd-analyze verify $service.service with our part" "$(verify $service.service)" ""
		else
			skip "systemd-analyze verify $service.service" "the package is not installed"
		fi
	done
	sed 's/^Restart=always/Restart=sometimes/' "$units/hagent.service" >"$units/wrong.service"
	check_match "it does find mistakes" "$(verify wrong.service)" "restart"
	# A drill's timer, as rendered, with the service that it starts.
	timer=pptp-ha-drill@weekly.timer
	"$top/tests/config/render-timer.sh" "$build" "$scratch/timers" 'drill weekly { schedule = "Sun 04:00" }' >/dev/null
	cp "$scratch/timers/etc/systemd/system/$timer" "$units/" 2>/dev/null
	check "hagent render makes a drill's timer" test -s "$units/$timer"
	check_eq "systemd-analyze verify $timer" "$(verify "$timer")" ""
	sed 's/^OnCalendar=.*/OnCalendar=Sun 25:00/' "$units/$timer" >"$units/pptp-ha-drill@wrong.timer"
	check_match "it finds a wrong schedule" "$(verify pptp-ha-drill@wrong.timer)" "calendar specification"
	"$top/tests/config/render-timer.sh" "$build" "$scratch/timers" '' >/dev/null
	check "a drill that is gone takes its timer along" test ! -e "$scratch/timers/etc/systemd/system/$timer"
fi
if command -v systemd-sysusers >/dev/null && command -v systemd-tmpfiles >/dev/null; then
	root=$scratch/root
	mkdir -p "$root/etc"
	check "sysusers makes the user" systemd-sysusers --root="$root" "$units/pptp-ha.sysusers"
	check_match "its shell and home" "$(cat "$root/etc/passwd")" "^pptp-ha:.*:/:/bin/sh"
	check "tmpfiles makes the folders" systemd-tmpfiles --root="$root" --create "$units/pptp-ha.tmpfiles"
	check "a fifo for keepalived" test -p "$root/run/pptp-ha/keepalived.fifo"
	check_eq "healthy at first" "$(cat "$root/run/pptp-ha/health")" 0
	check_match "sshd's pid file is its own" "$(stat -c %u "$root/run/pptp-ha/sshd.pid"):" \
		"^$(awk -F: '$1 == "pptp-ha" { print $3 }' "$root/etc/passwd"):"
else
	skip "sysusers and tmpfiles" "systemd is not installed"
fi

# --- installation -------------------------------------------------------------------------------
check "cmake --install" env DESTDIR="$scratch/installed" cmake --install "$build" --prefix /usr
for path in sbin/pptpd sbin/hagent lib/sysusers.d/pptp-ha.conf lib/tmpfiles.d/pptp-ha.conf \
	share/man/man8/pptpd.8 share/man/man8/hagent.8 share/man/man5/pptpd.conf.5 share/man/man5/cluster.conf.5 share/bash-completion/completions/hagent \
	$(cd "$units" && find . -name '*.service' ! -name wrong.service -o -name '*.target' -o -name '*.conf' | sed 's|^\.|lib/systemd/system|'); do
	check "installs /usr/$path" test -s "$scratch/installed/usr/$path"
done
