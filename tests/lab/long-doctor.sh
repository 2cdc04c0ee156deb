#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# `hagent doctor` on a healthy pair: all ok on both nodes. Then each fault of doctor-faults.sh alone: it is found
# by the check that is meant for it, and carrying out the remedy that this check names makes all well again.
# FAULTS=REGEX takes some of them.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/client.sh"
. "$(dirname "$0")/pair.sh"
. "$(dirname "$0")/doctor-faults.sh"

need_lab --advert 0.2 --users 0
make_tools
check "gw1 serves, gw2 stands by" wait_for 10 settled gw1
check "a healthy pair: all ok on both nodes" files_in_step
note "gw1: $(jq -c '{ok,warning,problem,unknown}' "$scratch/doctor.gw1"), gw2: $(jq -c '{ok,warning,problem,unknown}' "$scratch/doctor.gw2")"

for row in "${faults[@]}"; do
	[[ ! ${row%%|*} =~ ${FAULTS:-.} ]] || try_fault "$row"
done
