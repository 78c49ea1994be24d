#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Installs with apt what building, testing and the demo need. Does nothing, and
# asks no mirror, when everything is there already. `deps.sh vm` gets what
# test-vm.sh needs besides, and `deps.sh critest` what critest.sh does.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly go_min=1.21 # the first Go that fetches the toolchain go.mod asks for
readonly wasmedge_min=0.14.1
readonly trixie_sources=/etc/apt/sources.list.d/containerd-wasm-trixie.sources

packages=(
	build-essential ca-certificates git pkg-config libseccomp-dev
	clang lld llvm wasi-libc libclang-rt-dev-wasm32 wabt
	containernetworking-plugins iproute2 iptables e2fsprogs jq
	shellcheck
)
# On Debian 12 these come from Debian 13: it has no libwasmedge-dev, and its
# clang-format-19 cannot be installed beside the libllvm19 of libwasmedge.
newer_packages=(libwasmedge-dev clang-format-19)

vm_packages=(qemu-system-x86 kmod apparmor)
# What the VM has from Debian 13 is only unpacked: its kernel is not for this machine,
# and its virtiofsd cannot be installed beside the qemu of Debian 12.
readonly vm_root=.build/vm/root
readonly vm_kernel=linux-image-cloud-amd64 # depends on the package of the newest one

say() { printf 'deps: %s\n' "$*"; }
die() {
	printf 'deps: error: %s\n' "$*" >&2
	exit 1
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "packages have to be installed: run this as root, or install sudo"
	fi
}

apt_get() {
	as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@"
}

installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# missing prints those of its arguments that are not installed.
missing() {
	local package
	for package in "$@"; do
		installed "$package" || printf '%s\n' "$package"
	done
}

# candidate RELEASE PACKAGE prints the version that apt would install, or nothing.
candidate() {
	LC_ALL=C apt-cache ${1:+-t "$1"} policy "$2" | awk '$1 == "Candidate:" && $2 != "(none)" { print $2 }'
}

# simulate ... is what apt would do for `apt-get install ...`.
simulate() { apt_get install --simulate --no-install-recommends "$@" 2>/dev/null; }
resolves() { simulate "$@" >/dev/null; }

# install RELEASE PACKAGE... ; an empty RELEASE is the machine's own. Of that, nothing is
# removed for what is installed, such as Docker's containerd.io. What comes from another
# takes the place of the machine's libraries, and may have to.
install() {
	local release=$1 package removed
	local absent=() keep=()
	shift
	for package in "$@"; do
		[ -n "$(candidate "$release" "$package")" ] || absent+=("$package")
	done
	[ ${#absent[@]} -eq 0 ] || die "${release:-$PRETTY_NAME} has no package ${absent[*]}"
	say "installing${release:+ from $release}: $*"
	[ -n "$release" ] || keep=(--no-remove)
	! apt_get install --no-install-recommends "${keep[@]}" ${release:+-t "$release"} "$@" || return 0
	if [ -z "$release" ]; then
		removed=$(simulate "$@" | awk '$1 == "Remv" { print $2 }' | xargs) || true
		[ -z "$removed" ] || die "not installed, as apt would remove for it: $removed. Remove that, or install by hand what does not conflict with it"
	fi
	die "apt cannot install $*"
}

update_once() {
	[ -z "${updated-}" ] || return 0
	say "updating the package lists"
	apt_get update
	updated=yes
}

# write_file PATH writes its standard input there unless that is what it holds.
write_file() {
	local content
	content=$(cat)
	[ "$content" != "$(cat "$1" 2>/dev/null)" ] || return 0
	say "writing $1"
	printf '%s\n' "$content" | as_root tee "$1" >/dev/null
	updated=
}

# mirror prints where this machine gets Debian 12 from.
mirror() {
	# shellcheck disable=SC2016 # the fields are apt's
	apt-get indextargets --format '$(SITE) $(RELEASE)' | awk '$2 == "bookworm" { print $1; exit }'
}

# add_trixie makes Debian 13's packages known at a priority below everything of
# Debian 12, so that nothing comes from there unless it is asked for.
add_trixie() {
	local site
	site=$(mirror)
	[ -n "$site" ] || die "no source of Debian 12 (bookworm) in apt's configuration to take Debian 13's address from"
	write_file "$trixie_sources" <<-EOF
		Types: deb
		URIs: $site
		Suites: trixie
		Components: main
		Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
	EOF
	write_file /etc/apt/preferences.d/containerd-wasm-trixie <<-EOF
		Package: *
		Pin: release n=trixie
		Pin-Priority: 100
	EOF
}

# newer_release prints where newer_packages come from: nothing, or trixie. The file
# counts because libwasmedge-dev's dependencies replace base-files, after which
# os-release calls a Debian 12 machine trixie.
newer_release() {
	if [ "$VERSION_CODENAME" = bookworm ] || [ -e "$trixie_sources" ]; then
		printf trixie
	fi
}

# install_packages PACKAGE...
install_packages() {
	local wanted release=
	mapfile -t wanted < <(missing "$@")
	[ ${#wanted[@]} -gt 0 ] || return 0
	update_once
	# Debian 12's own packages may no longer fit the libraries that libwasmedge-dev
	# brought along when that was installed before them.
	resolves "${wanted[@]}" || release=$(newer_release)
	install "$release" "${wanted[@]}"
}

install_newer_packages() {
	local wanted release
	mapfile -t wanted < <(missing "${newer_packages[@]}")
	[ ${#wanted[@]} -gt 0 ] || return 0
	release=$(newer_release)
	[ -z "$release" ] || add_trixie
	update_once
	install "$release" "${wanted[@]}"
}

check_wasmedge() {
	local version
	version=$(dpkg-query -W -f '${Version}' libwasmedge-dev)
	dpkg --compare-versions "$version" ge "$wasmedge_min" ||
		die "libwasmedge-dev $version is too old: $wasmedge_min or newer is needed, and $PRETTY_NAME does not have it"
}

go_is_enough() {
	local version
	version=$(GOTOOLCHAIN=local go version 2>/dev/null | awk '{ print substr($3, 3) }') || return 1
	[ -n "$version" ] && dpkg --compare-versions "$version" ge "$go_min"
}

install_go() {
	local release version
	PATH=$PATH:/usr/local/go/bin
	! go_is_enough || return 0
	release=$(newer_release)
	[ -z "$release" ] || add_trixie
	update_once
	version=$(candidate "$release" golang-go)
	dpkg --compare-versions "${version#*:}" ge "$go_min" ||
		die "Go $go_min or newer is needed, $PRETTY_NAME has ${version:-none}: install it from https://go.dev/dl"
	install "$release" golang-go
	go_is_enough || die "$(command -v go) comes first in PATH and is older than Go $go_min"
}

# unpack_vm puts Debian 13's kernel and virtiofsd where test-vm.sh finds them.
unpack_vm() {
	local image tmp=$vm_root.new deb
	[ ! -d "$vm_root" ] || return 0
	[ "$(dpkg --print-architecture)" = amd64 ] || die "a VM can be had on amd64 only"
	[ -z "$(newer_release)" ] || add_trixie
	update_once
	image=$(apt-cache -t trixie depends "$vm_kernel" 2>/dev/null | awk '$1 == "Depends:" { print $2; exit }')
	[ -n "$image" ] || die "no source of Debian 13 (trixie) in apt's configuration to take its kernel from"
	say "unpacking into $vm_root: $image virtiofsd"
	rm -rf "$tmp"
	mkdir -p "$tmp/usr/lib"
	ln -s usr/lib "$tmp/lib"
	(cd "$tmp" && apt-get -qq -o APT::Sandbox::User=root -t trixie download "$image" virtiofsd)
	for deb in "$tmp"/*.deb; do
		dpkg-deb -x "$deb" "$tmp"
		rm "$deb"
	done
	/sbin/depmod -b "$tmp" "${image#linux-image-}"
	mv "$tmp" "$vm_root"
}

# unpack_busybox puts a busybox where critest.sh finds it. It is for images, and is
# not installed: it is in conflict with busybox-static, which runs applets without
# their files in PATH, and so does not do.
unpack_busybox() {
	local root=.build/critest/root tmp=.build/critest/root.new
	[ ! -d "$root" ] || return 0
	update_once
	say "unpacking into $root: busybox"
	rm -rf "$tmp"
	mkdir -p "$tmp"
	(cd "$tmp" && apt-get -qq -o APT::Sandbox::User=root download busybox)
	dpkg-deb -x "$tmp"/*.deb "$tmp"
	rm "$tmp"/*.deb
	mv "$tmp" "$root"
}

main() {
	command -v apt-get >/dev/null || die "this needs Debian 12 or newer, or Ubuntu with the same packages"
	# shellcheck source=/dev/null
	. /etc/os-release
	if [ "${1-}" = vm ]; then
		install_packages "${vm_packages[@]}"
		unpack_vm
		return
	fi
	if [ "${1-}" = critest ]; then
		unpack_busybox
		return
	fi
	# Of whatever origin: Docker's containerd.io has one, and is in conflict with Debian's.
	command -v runc >/dev/null || packages+=(runc)
	# Only a pip of whatever origin is wanted, for fetch-published.sh.
	python3 -m pip --version >/dev/null 2>&1 || packages+=(python3-pip)
	install_packages "${packages[@]}"
	install_newer_packages
	check_wasmedge
	install_go
	say "everything is installed: WasmEdge $(dpkg-query -W -f '${Version}' libwasmedge-dev), $(GOTOOLCHAIN=local go version | cut -d' ' -f3), $(runc --version | head -n 1)"
}

main "$@"
