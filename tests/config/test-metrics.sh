#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The alerting rules and the dashboard: the rules are sound and are raised by what they are for, and both name
# only metrics that hagent web can tell.
. "$(dirname "$0")/../lab/lib.sh"
rules=$top/deploy/prometheus/pptp-ha.rules.yml
dashboard=$top/deploy/grafana/pptp-ha.json

check "promtool check rules" promtool check rules "$rules"
for file in "$top"/tests/config/pptp-ha.*.test.yml; do
	check "promtool test rules ${file##*/}" promtool test rules "$file"
done
for name in $(sed -n 's/^ *- alert: //p' "$rules"); do
	check "$name has a test that raises it" grep -q "name: $name\$" "$top"/tests/config/pptp-ha.*.test.yml
done

# Every name that hagent web can write, from its own tables; a histogram has three.
known=$(grep -oh '"pptp_ha_[a-z_]*"' "$top"/hagent/web_metrics*.c | tr -d '"' | sort -u)
unknown() {
	grep -oE 'pptp_ha_[a-z_]+' "$1" | sort -u | grep -vxF "$known"
}
check_eq "the rules name known metrics" "$(unknown "$rules")" ""
check "the dashboard is JSON" jq -e '.panels | length > 20' "$dashboard"
check_eq "the dashboard names known metrics" "$(unknown "$dashboard")" ""
check_eq "no panel lies on another" "$(jq -r '
	[.panels[] | .id as $i | .gridPos | range(.x; .x + .w) as $x | range(.y; .y + .h) as $y | "\($x),\($y)"] |
	group_by(.) | map(select(length > 1)[0])[]' "$dashboard")" ""
