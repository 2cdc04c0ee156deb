#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# mkimage.sh CACHE uml|qemu
#
# Makes a guest that runs pppd, pptp-linux, poptop and the tools of the tests on a kernel with PPP and
# MPPE: CACHE/BACKEND/{kernel,initrd.cpio} and, for User-Mode Linux, umlfix.so. The kernel, busybox and
# poptop come from Debian packages that are only unpacked (and kept in CACHE); every other program is a
# copy of the one that is installed here, with its libraries.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=$1
backend=$2
programs="pppd pptp curl iperf3 ip tc ss tcpdump dash"
modules="ppp_generic ppp_async ppp_mppe ppp_deflate bsd_comp af_packet sch_netem"

mkdir -p "$cache/$backend"
work=$(mktemp -d "$cache/$backend.XXXXXX")
trap 'rm -rf "$work"' EXIT

# package NAME: path of its .deb, downloaded if it is not there yet
package() {
	if ! compgen -G "$cache/$1_*.deb" >/dev/null; then
		(cd "$cache" && apt-get -qq download "$1" 2>/dev/null) ||
			{ apt-get -qq update && (cd "$cache" && apt-get -qq download "$1" 2>/dev/null); } || return 1
	fi
	compgen -G "$cache/$1_*.deb" | tail -n 1
}

unpack_kernel() {
	case $backend in
	uml)
		dpkg-deb -x "$(package user-mode-linux)" "$work/kernel"
		mkdir -p "$work/kernel/lib"
		ln -s ../usr/lib/uml/modules "$work/kernel/lib/modules"
		cp "$work/kernel/usr/bin/linux.uml" "$cache/uml/kernel"
		gcc -O2 -Wall -Wextra -shared -fPIC -D_GNU_SOURCE -o "$cache/uml/umlfix.so" "$here/umlfix.c"
		;;
	qemu)
		name=$(apt-cache depends linux-image-amd64 | awk '/Depends: linux-image/ { print $2; exit }')
		[ -n "$name" ] || { apt-get -qq update; name=$(apt-cache depends linux-image-amd64 | awk '/Depends: linux-image/ { print $2; exit }'); }
		mkdir "$work/kernel"
		# the package unpacks to 400 MB: take the folders that we need
		dpkg-deb --fsys-tarfile "$(package "$name")" | tar -x -C "$work/kernel" --wildcards \
			'./boot/vmlinuz*' './lib/modules/*/modules.*' './lib/modules/*/kernel/arch/x86/crypto' \
			'./lib/modules/*/kernel/crypto' './lib/modules/*/kernel/lib' './lib/modules/*/kernel/net' \
			'./lib/modules/*/kernel/drivers/char' './lib/modules/*/kernel/drivers/virtio' \
			'./lib/modules/*/kernel/drivers/net/*.ko' './lib/modules/*/kernel/drivers/net/ppp' \
			'./lib/modules/*/kernel/drivers/net/slip'
		depmod -b "$work/kernel" "$(ls "$work/kernel/lib/modules")"
		python3 "$here/extract-vmlinux.py" "$work"/kernel/boot/vmlinuz-* "$cache/qemu/kernel"
		modules="virtio_pci virtio_net virtio_rng $modules"
		;;
	esac
}

copy_modules() {
	local version
	version=$(ls "$work/kernel/lib/modules")
	mkdir -p "$work/root/lib/modules/$version"
	for index in builtin builtin.modinfo order; do
		cp "$work/kernel/lib/modules/$version/modules.$index" "$work/root/lib/modules/$version/" || true
	done
	for module in $modules; do
		# a module that is built in prints no path
		modprobe -d "$work/kernel" -S "$version" --show-depends "$module" |
			awk '$1 == "insmod" { print $2 }' | while read -r path; do
			to=$work/root/lib/modules/$version/${path#*/modules/"$version"/}
			mkdir -p "$(dirname "$to")"
			cp "$path" "$to"
		done
	done
	depmod -b "$work/root" "$version"
}

copy_programs() {
	local root=$work/root path
	mkdir -p "$root"/{bin,sbin,usr/bin,usr/sbin,lib64,proc,sys,dev,tmp,run,root,var/log,etc/ppp/peers}
	dpkg-deb -x "$(package busybox-static)" "$work/busybox"
	cp "$work/busybox/bin/busybox" "$root/bin/busybox"
	for applet in $("$root/bin/busybox" --list); do
		[ "$applet" = busybox ] || ln -sf busybox "$root/bin/$applet"
	done
	dpkg-deb -x "$(package pptpd)" "$work/poptop"
	for program in $programs pptpd pptpctrl; do
		path=$(PATH=/usr/sbin:/usr/bin:/sbin:/bin command -v "$program") ||
			path=$work/poptop/usr/sbin/$program
		rm -f "$root/bin/$program"
		cp -L "$path" "$root/usr/sbin/$program"
		ldd "$path" | awk '/=> \// { print $3 } /^\t\/lib/ { print $1 }'
	done | sort -u | while read -r library; do
		mkdir -p "$root$(dirname "$library")"
		cp -L "$library" "$root$library"
	done
	chmod 755 "$root/usr/sbin/pppd"
	ln -sf ../usr/sbin/dash "$root/bin/sh" # busybox's would prefer its own ip and tc
	ln -sf ../usr/sbin/ip "$root/bin/ip"   # where pptp looks for it
	gcc -O2 -Wall -Wextra -static -D_GNU_SOURCE -o "$root/sbin/agent" "$here/agent.c"
	cp "$here/init" "$root/init"
	chmod 755 "$root/init"
	printf 'root:x:0:0:root:/root:/bin/sh\n' >"$root/etc/passwd"
	printf 'root:x:0:\n' >"$root/etc/group"
	printf '127.0.0.1 localhost\n' >"$root/etc/hosts"
	printf 'passwd: files\ngroup: files\nhosts: files\n' >"$root/etc/nsswitch.conf"
	printf 'icmp\t1\tICMP\ntcp\t6\tTCP\nudp\t17\tUDP\ngre\t47\tGRE\n' >"$root/etc/protocols"
	for file in options chap-secrets pap-secrets; do
		: >"$root/etc/ppp/$file"
		chmod 600 "$root/etc/ppp/$file"
	done
}

unpack_kernel
copy_programs
copy_modules
# Left uncompressed: an emulated guest unpacks slowly.
(cd "$work/root" && find . | cpio -o -H newc --quiet) >"$work/initrd.cpio"
mv "$work/initrd.cpio" "$cache/$backend/initrd.cpio"
