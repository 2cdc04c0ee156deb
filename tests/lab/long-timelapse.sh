#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 200 random faults in a row with 100 sessions, healed in between (timelapse.py); 1,000 with FULL=1, as
# `tests/run.sh --full` sets it. Nothing may be lost that the rules say must live. What both gateways sent is
# decrypted part by part. The plan is the seed's alone: two runs of one seed that go well have the same log.
#
# FAULTS, SEED (1), SESSIONS (100), RATE (10), ADVERT = seconds (0.05), KINDS, FROM. Uses the release build.
export PHA_BUILD=${PHA_BUILD:-build}
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/client.sh"
. "$(dirname "$0")/pair.sh"
. "$(dirname "$0")/takeover.sh"
faults=${FAULTS:-$([ -n "${FULL:-}" ] && echo 1000 || echo 200)}
seed=${SEED:-1}
sessions=${SESSIONS:-100}
timelapse=("$top/tests/lab/timelapse.py" --seed "$seed" --faults "$faults" --from "${FROM:-1}" --sessions "$sessions")
[ -z "${KINDS:-}" ] || timelapse+=(--kinds "$KINDS")
evidence=${TEST_LOGS:-$scratch}/evidence

build_tools
need_lab --advert "${ADVERT:-0.05}" --users $((sessions + 50))
"${timelapse[@]}" --plan >"$scratch/plan"
mkdir -p "$evidence" "$scratch/capture"
"${timelapse[@]}" --rate "${RATE:-10}" --figures "$evidence/figures" --log "$evidence/log" --evidence "$evidence" \
    --capture "$scratch/capture" | sed 's/^# /# figure: /'
status=${PIPESTATUS[0]}
check "$faults faults, seed $seed: each went as it must" [ "$status" = 0 ]
[ "$status" = 0 ] || note "$(grep -E '^not ok' "$evidence/log" | cut -c1-400)" "evidence: $evidence"
sed 's/$/: kept/' "$scratch/plan" | tail -n +"${FROM:-1}" >"$scratch/wanted"
check "the log is what the seed says" diff "$scratch/wanted" "$evidence/log"
check "keys were judged" jq -es 'map(select(.event == "keys")) | length > 0 and all(.encrypted > 0 and .faults.key_reused == 0)' \
    "$evidence/figures"
note "figure: $(jq -cs 'map(select(.event == "keys")) | {parts: length, frames: map(.frames) | add, encrypted: map(.encrypted) | add,
    key_reused: map(.faults.key_reused) | add}' "$evidence/figures")"
