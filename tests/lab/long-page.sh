#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The status page and the report of a drill in a real browser (headless Chromium): what they say of a healthy
# and of a degraded pair, search, sort, pages and a drill by clicks, without scripts too; nothing stands out of
# a phone's window, every text has contrast enough, light and dark. The pictures are left with the logs.
#
# Needs Debian's package chromium, which is 400 MB and therefore not in deploy/packages.txt. PARTS = which of:
# healthy sessions drill words degraded silent (all).
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/client.sh"
. "$(dirname "$0")/pair.sh"
parts=${PARTS:-healthy sessions drill words degraded silent}
pictures=${TEST_LOGS:-$scratch/logs}/pictures

if ! command -v chromium >/dev/null; then
	skip "the status page in a browser" "apt-get install --no-install-recommends chromium"
	n_passed=1
	exit 0
fi
build_client
need_lab --users 300
mkdir -p "$pictures"

has_page() {
	on gw1 curl -sf -m 5 http://127.0.0.1:9723/healthz
}
if ! has_page; then
	on gw1 hagent --node gw1 --root "$(root gw1)" web >"$scratch/web.log" 2>&1 &
	background+=($!)
fi
check "the page is there" wait_for 10 has_page
start_client "${any_user[@]}" --sessions 130 --ping 192.168.1.20 --count 100000 --rate 10
check "130 sessions are up" wait_for 20 sessions gw1 130
if [[ $parts == *drill* ]]; then
	agent gw1 drill run planned >"$scratch/drill" 2>&1
	check_eq "a drill was run" $? 0
	is_role gw1 "MASTER active vip" || agent gw2 switchover >/dev/null
	check "gw1 serves again" wait_for 60 settled gw1
fi
# shellcheck disable=SC2086
while IFS= read -r line; do
	case $line in
	"ok - "*) ok "${line#ok - }" ;;
	"not ok - "*) not_ok "${line#not ok - }" ;;
	*) printf '%s\n' "$line" ;;
	esac
done < <(python3 "$top/tests/lab/page.py" "${PHA_LAB_PREFIX:-pha}" "$pictures" $parts 2>&1)
note "pictures: $(find "$pictures" -name '*.png' | wc -l)"
stop_client
