#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds the daemon, and vets and builds the tests of the runtime, for arm64. What is
# linked comes from Debian 13, and is unpacked below .build/arm64: nothing is installed,
# and no architecture is added to this machine's. TAGS are build tags.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly out=$PWD/.build/arm64
readonly root=$out/root
readonly packages=(libc6 libc6-dev linux-libc-dev libgcc-14-dev libgcc-s1 libstdc++6
	libwasmedge0 libwasmedge-dev libseccomp2 libseccomp-dev)

say() { printf 'cross: %s\n' "$*"; }
die() {
	printf 'cross: error: %s\n' "$*" >&2
	exit 1
}

# mirror prints where this machine gets Debian from.
mirror() {
	# shellcheck disable=SC2016 # the fields are apt's
	apt-get indextargets --format '$(SITE) $(RELEASE)' | awk '$2 == "bookworm" || $2 == "trixie" { print $1; exit }'
}

# apt runs apt-get for arm64, with a state of its own.
apt() {
	apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User=root \
		-o "Dir::State::lists=$1/lists" -o "Dir::State::status=$1/status" -o "Dir::Cache=$1/cache" \
		-o "Dir::Etc::sourcelist=$1/sources.list" -o Dir::Etc::sourceparts=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
		"${@:2}"
}

# unpack_root makes root, once.
unpack_root() {
	local site tmp=$root.new state=$out/apt deb
	[ ! -d "$root" ] || return 0
	site=$(mirror)
	[ -n "$site" ] || die "no source of Debian 12 or 13 in apt's configuration to take arm64's libraries from"
	say "unpacking into $root: ${packages[*]}"
	rm -rf "$tmp" "$state"
	mkdir -p "$tmp/usr/lib"
	ln -s usr/lib "$tmp/lib"
	mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
	touch "$state/status"
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $site trixie main" >"$state/sources.list"
	apt "$state" update
	(cd "$state" && apt "$state" download "${packages[@]}")
	for deb in "$state"/*.deb; do
		dpkg-deb -x "$deb" "$tmp"
	done
	rm -r "$state"
	mv "$tmp" "$root"
}

main() {
	mkdir -p "$out"
	unpack_root
	# lld exports a function for a library to find (interpose.c) only where it knows who
	# else has it: operator new, libstdc++.
	export CGO_ENABLED=1 GOARCH=arm64 CC="clang --target=aarch64-linux-gnu --sysroot=$root"
	export CGO_LDFLAGS="-fuse-ld=lld -l:libstdc++.so.6"
	say "building the daemon"
	go build -trimpath -buildvcs=false -tags "${TAGS-}" -o "$out/" ./cmd/containerd-wasm
	llvm-nm -D --defined-only "$out/containerd-wasm" | grep -qw _Znwm || die "the daemon does not export operator new"
	say "go vet"
	go vet -tags "${TAGS-}" ./runtime/... ./plugins/... ./cri/... ./snapshotter/...
	say "building the tests"
	go test -c -tags "${TAGS-}" -o "$out/" ./runtime/...
	say "everything builds for arm64, into $out"
}

main
