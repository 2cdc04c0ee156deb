# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the lab's test scripts share; `. "$(dirname "$0")/lib.sh"` comes first in each. A script prints one
# line `ok - NAME` or `not ok - NAME` per check and exits 0 when every check passed; lines that start
# with # explain. The lab is taken down at the end, and its logs are searched for reports of the
# sanitizers, which is a check of its own. KEEP_LAB=1 leaves the lab up, TEST_LOGS names the folder
# that gets the nodes' logs.
# shellcheck shell=bash
set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
lab=$top/tests/lab/lab
realclient=$top/tests/realclient/realclient
lwipclient=$top/tests/realclient/lwip/lwipclient
# shellcheck disable=SC2034
build=$top/${PHA_BUILD:-build}
# What the gateways run; beside it stands what is built.
programs=/var/tmp/${PHA_LAB_PREFIX:-pha}-lab
# For how long `hagent check` takes: a sanitizer alone needs as much as is promised.
checker=$top/build/hagent/hagent
[ -x "$checker" ] || checker=$build/hagent/hagent
scratch=$(mktemp -d)
n_passed=0
n_failed=0
lab_is_ours=

note() {
	printf '# %s\n' "$@"
}

ok() {
	printf 'ok - %s\n' "$1"
	n_passed=$((n_passed + 1))
}

# not_ok NAME [EXPLANATION...]
not_ok() {
	printf 'not ok - %s\n' "$1"
	shift
	[ $# = 0 ] || printf '%s\n' "$@" | sed 's/^/#   /'
	n_failed=$((n_failed + 1))
}

# skip NAME REASON: only for what the kernel cannot do
skip() {
	printf 'ok - %s # SKIP %s\n' "$1" "$2"
}

# check NAME COMMAND...: passes if the command succeeds; its output explains a failure
check() {
	local name=$1 output
	shift
	if output=$("$@" 2>&1); then
		ok "$name"
	else
		not_ok "$name" "$*" "$(tail -c 2000 <<<"$output")"
	fi
}

# check_fails NAME COMMAND...: the command must fail
check_fails() {
	local name=$1 output
	shift
	if output=$("$@" 2>&1); then
		not_ok "$name" "succeeded: $*" "$(tail -c 2000 <<<"$output")"
	else
		ok "$name"
	fi
}

# check_eq NAME GOT WANT
check_eq() {
	if [ "$2" = "$3" ]; then
		ok "$1"
	else
		not_ok "$1" "got \"$2\", want \"$3\""
	fi
}

# check_match NAME TEXT REGEX (extended)
check_match() {
	if [[ $2 =~ $3 ]]; then
		ok "$1"
	else
		not_ok "$1" "want /$3/ in:" "$(tail -c 2000 <<<"$2")"
	fi
}

# field JSON FILTER: jq -r, empty for null and for text that is not JSON
field() {
	jq -r "$2 // empty" 2>/dev/null <<<"$1"
}

# wait_for SECONDS COMMAND...: until the command succeeds
wait_for() {
	local end=$((${EPOCHREALTIME/./} + $1 * 1000000))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "${EPOCHREALTIME/./}" -lt "$end" ] || return 1
		sleep 0.05
	done
}

# gone PID: no such process, or only a zombie that nobody has reaped yet
gone() {
	! ps -o stat= -p "$1" | grep -qv '^Z'
}

# need_lab [OPTIONS of `lab up`]: a fresh lab, or the end of the script
need_lab() {
	local output
	lab_is_ours=1
	if ! output=$("$lab" up "$@" 2>&1); then
		not_ok "lab up $*" "$output"
		exit 1
	fi
}

# fault NODE METHOD: `lab fail`; when it began to act, in seconds since 1970, is in $moment
fault() {
	moment=$("$lab" fail "$@")
}

# ms_since MOMENT: milliseconds, now or until a second moment
ms_since() {
	awk -v a="$1" -v b="${2:-$EPOCHREALTIME}" 'BEGIN { printf "%.0f\n", (b - a) * 1000 }'
}

# on NODE COMMAND...
on() {
	"$lab" exec "$@"
}

# in_order WORDS STEP...: the steps stand in the text in this order, whatever stands between
in_order() {
	local rest=$1 step
	shift
	for step; do
		[[ $rest == *"$step"* ]] || return 1
		rest=${rest#*"$step"}
	done
}

# agent NODE ARGUMENTS...: hagent of a node
agent() {
	local node=$1
	shift
	on "$node" hagent --node "$node" --root "$(root "$node")" "$@"
}

# root NODE: its root folder
root() {
	printf '%s/%s\n' "${PHA_LAB_DIR:-/run/${PHA_LAB_PREFIX:-pha}-lab}" "$1"
}

# log NODE: what the daemon of a node has logged so far
log() {
	cat "$(root "$1")/var/log/pptpd.log"
}

end_of_script() {
	local status=$? reports
	if [ -n "$lab_is_ours" ] && [ -z "${KEEP_LAB:-}" ]; then
		local logs=${TEST_LOGS:-$scratch/logs}
		mkdir -p "$logs"
		PHA_LAB_LOGS=$logs "$lab" down 2>&1 | sed 's/^/# /'
		reports=$(grep -rE 'ERROR: [A-Za-z]+Sanitizer|runtime error: ' "$logs" | head -20)
		check_eq "no report of a sanitizer in the nodes' logs" "$reports" ""
	fi
	rm -rf "$scratch"
	if [ $((n_passed + n_failed)) = 0 ]; then
		not_ok "the script has checks"
	fi
	exit $((status != 0 || n_failed != 0))
}
trap end_of_script EXIT
trap 'exit 1' INT TERM
