#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# tests/run.sh [--full] [PATTERN]: builds and runs every test, and ends with `N passed, N failed`.
#
# Packages, both builds, the code's format, unit tests and corpus replays under ASan and UBSan; then, two at a time,
# tests/config/test-*.sh and tests/lab/test-*.sh with the same build, and the model of the takeover beside them. --full adds a minute
# of fuzzing per target, 10,000 seeds of the takeover's simulation and tests/lab/long-*.sh. With PATTERN only scripts whose name
# contains it run.
# Each test's log stays in build-dev/test-logs/.
set -u
cd "$(dirname "$0")/.." || exit 1
full=
pattern=
for arg in "$@"; do
	case $arg in
	--full) full=1 ;;
	-*)
		echo "usage: tests/run.sh [--full] [PATTERN]" >&2
		exit 2
		;;
	*) pattern=$arg ;;
	esac
done

logs=build-dev/test-logs
jobs=$(nproc)
passed=0
failed=0
skipped=0
begin=$SECONDS

# result NAME LOG PASSED FAILED SECONDS: one line, and the end of the log of what failed
result() {
	passed=$((passed + $3))
	failed=$((failed + $4))
	if [ "$4" = 0 ]; then
		printf 'ok    %-32s %4d checks %5d s\n' "$1" "$3" "$5"
	else
		printf 'FAIL  %-32s %4d of %d checks failed, %d s; %s\n' "$1" "$4" "$(($3 + $4))" "$5" "$2"
		grep -A 3 -E '^not ok|\[  FAILED  \]|ERROR: |error:|warning: ' "$2" | head -60 | sed 's/^/      | /'
		tail -n 15 "$2" | sed 's/^/      > /'
	fi
}

# step NAME COMMAND...: one check
step() {
	local name=$1 log=$logs/$1.log start=$SECONDS
	shift
	if "$@" >"$log" 2>&1; then
		result "$name" "$log" 1 0 $((SECONDS - start))
	else
		result "$name" "$log" 0 1 $((SECONDS - start))
		return 1
	fi
}

# build PRESET [OPTIONS of cmake --build]
build() {
	cmake --preset "$1" && cmake --build --preset "$1" -j "$jobs" "${@:2}"
}

format() {
	git ls-files -z '*.c' '*.h' | xargs -0 clang-format --dry-run -Werror
}

# Each cmocka program counts as many checks as it has tests; any other test of ctest counts as one.
count_ctest() {
	awk '
		match($0, /^[0-9]+: \[  PASSED  \] [0-9]+ test/) { split($0, a, /[^0-9]+/); cmocka[a[1]] = 1; good += a[2] }
		match($0, /^[0-9]+: \[  FAILED  \] [0-9]+ test/) { split($0, a, /[^0-9]+/); bad += a[2]; broken[a[1]] = 1 }
		/^ *[0-9]+\/[0-9]+ Test +#[0-9]+:/ {
			id = $0; sub(/^[^#]*#/, "", id); sub(/:.*/, "", id)
			if ($0 ~ /  Passed /) { if (!(id in cmocka)) good++ }
			else if (!(id in broken)) bad++
		}
		END { print good + 0, bad + 0 }' "$1"
}

unit_tests() {
	local log=$logs/unit.log start=$SECONDS good bad
	ctest --test-dir build-dev -j "$jobs" -V --timeout 120 >"$log" 2>&1 </dev/null
	read -r good bad < <(count_ctest "$log")
	[ "$good" != 0 ] || bad=$((bad + 1))
	result unit "$log" "$good" "$bad" $((SECONDS - start))
}

# run PATH SECONDS [LANE]: a test script, into its log; its lab is the lane's
run() {
	local name
	name=$(basename "$1" .sh)
	PHA_BUILD=${PHA_BUILD:-build-dev} PHA_LAB_PREFIX=${3:-${PHA_LAB_PREFIX:-pha}} TEST_LOGS=$PWD/$logs/$name \
	    exec timeout -k 30 "$2" bash "$1" >"$logs/$name.log" 2>&1 </dev/null
}

# tally PATH STATUS SECONDS: its ok and not ok lines are counted
tally() {
	local name log good bad omitted
	name=$(basename "$1" .sh)
	log=$logs/$name.log
	omitted=$(grep -c '^ok - .* # SKIP' "$log")
	good=$(($(grep -c '^ok - ' "$log") - omitted))
	bad=$(grep -c '^not ok - ' "$log")
	if [ "$2" != 0 ] && [ "$bad" = 0 ]; then
		echo "not ok - $name: exit $2" >>"$log"
		bad=1
	fi
	skipped=$((skipped + omitted))
	result "$name" "$log" "$good" "$bad" "$3"
	grep -E '^# figure: ' "$log" | sed 's/^# figure:/     /'
}

wanted() {
	[ -e "$1" ] && [[ $(basename "$1" .sh) == *$pattern* ]]
}

# Two scripts at a time, each with a lab of its own: most of the time they wait.
lanes=(pha phb)
declare -A test_of lane_of start_of # by pid

# begin PATH SECONDS LANE
begin() {
	run "$@" &
	test_of[$!]=$1
	lane_of[$!]=$3
	start_of[$!]=$SECONDS
}

# finish: one of those that run
finish() {
	local pid status
	wait -n -p pid "${!test_of[@]}"
	status=$?
	tally "${test_of[$pid]}" $status $((SECONDS - start_of[$pid]))
	[ -z "${lane_of[$pid]}" ] || lanes+=("${lane_of[$pid]}")
	unset "test_of[$pid]" "lane_of[$pid]" "start_of[$pid]"
}

# script PATH SECONDS: in the first lane that is free
script() {
	wanted "$1" || return 0
	while [ ${#lanes[@]} = 0 ]; do
		finish
	done
	begin "$1" "$2" "${lanes[0]}"
	lanes=("${lanes[@]:1}")
}

finish_all() {
	while [ ${#test_of[@]} -gt 0 ]; do
		finish
	done
}

clean_up() {
	local pid lane
	for pid in "${!test_of[@]}"; do
		kill "$pid" 2>/dev/null && wait "$pid"
	done
	for lane in pha phb; do
		PHA_LAB_PREFIX=$lane tests/lab/lab down >/dev/null 2>&1
	done
}

fuzz() {
	local source name work targets=()
	for source in tests/fuzz/fuzz_*.c; do
		name=$(basename "$source" .c)
		[[ $name != *$pattern* ]] || targets+=("$name")
	done
	[ ${#targets[@]} -gt 0 ] || return
	step build-fuzz build fuzz --target "${targets[@]}" || return
	for name in "${targets[@]}"; do
		work=$(mktemp -d)
		cp -r "tests/fuzz/corpus/${name#fuzz_}/." "$work/"
		step "$name" "build-fuzz/tests/fuzz/$name" -max_total_time=60 -rss_limit_mb=2048 \
			-artifact_prefix="$PWD/$logs/$name-" "$work"
		rm -rf "$work"
	done
}

trap clean_up EXIT
trap 'exit 1' INT TERM
deploy/install-packages.sh || exit 1
mkdir -p $logs
# The unit tests' own release build takes a minute, and is for --full alone.
released=(--target pptpd hagent pptp-client key-check)
[ -z "$full" ] || released=()
if step build-dev build dev && step build-release build release "${released[@]}"; then
	if [ -z "$pattern" ]; then
		step format format
		unit_tests
	fi
	# The model's search takes a core for a minute, beside the scripts.
	if wanted docs/model/check.sh; then
		begin docs/model/check.sh 300 ""
		renice -n 19 $! >/dev/null
	fi
	for test in tests/config/test-*.sh tests/lab/test-*.sh; do
		script "$test" 300
	done
	finish_all
	if [ -n "$full" ]; then
		[[ test_takeover != *$pattern* ]] || step takeover-10000 build/tests/unit/test_takeover 10000
		fuzz
		lanes=(pha) # their figures want the machine for themselves
		for test in tests/lab/long-*.sh; do
			FULL=1 script "$test" 14400
		done
		finish_all
	fi
fi
echo "in $((SECONDS - begin)) s; logs in $logs"
if [ $skipped = 0 ]; then
	echo "$passed passed, $failed failed"
else
	echo "$passed passed, $failed failed, $skipped skipped"
fi
[ $failed = 0 ]
