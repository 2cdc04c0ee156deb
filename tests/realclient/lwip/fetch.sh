#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# fetch.sh CACHE: unpacks the source of Debian's lwip package into CACHE/lwip/src. The machine's own
# package lists stay as they are: the same mirrors, as source, go into lists of our own.
set -euo pipefail
cache=$1/lwip
[ ! -e "$cache/src/.done" ] || exit 0
mkdir -p "$cache/apt/lists/partial"

keyring=/usr/share/keyrings/debian-archive-keyring.gpg
option=
[ ! -e $keyring ] || option="[signed-by=$keyring] "
sources() {
	apt-get indextargets --format '$(ORIGIN) $(SITE) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
		awk -v option="$option" '$1 == "Debian" && $4 == "main" { print "deb-src " option $2, $3, $4 }' | sort -u
}
sources >"$cache/apt/sources.list"
if [ ! -s "$cache/apt/sources.list" ]; then
	apt-get -qq update
	sources >"$cache/apt/sources.list"
fi
own=(-o "Dir::Etc::SourceList=$cache/apt/sources.list" -o Dir::Etc::SourceParts=-
	-o "Dir::State::Lists=$cache/apt/lists" -o Dir::Cache::srcpkgcache= -o Dir::Cache::pkgcache=
	-o APT::Sandbox::User=root)
apt-get -qq "${own[@]}" update
(cd "$cache" && apt-get -qq "${own[@]}" --download-only source lwip)
rm -rf "$cache/src"
dpkg-source --no-check -x "$cache"/lwip_*.dsc "$cache/src" >/dev/null
touch "$cache/src/.done"
