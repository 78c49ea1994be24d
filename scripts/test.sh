#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs the tests of all packages. From the environment, all optional:
#   TAGS       build tags
#   TESTFLAGS  more arguments for go test
#   RACE_PKGS  package patterns to test with the race detector; by default all but
#              that of the engine, "none" for no package
#   SKIP_PKGS  an extended regular expression of packages to leave out
set -euo pipefail
shopt -s inherit_errexit # a package that go list cannot load must not go untested
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/packages.sh
. scripts/packages.sh

readonly log=.build/test.log
module=$(go list -m)
readonly module

# Each of its tests runs compilers, which are the test binary again. What they share
# with others is in the soak, whose daemon has the race detector if the test has.
readonly unraced="$module/runtime/engine"

# race_packages PACKAGES prints those to test with the race detector.
race_packages() {
	local chosen
	case ${RACE_PKGS-} in
	none) ;;
	"") only_first "$1" "$unraced" ;;
	*)
		chosen=$(xargs <<<"$RACE_PKGS" go list | sort)
		common "$1" "$chosen"
		;;
	esac
}

as_root=()
find_root() {
	[ "$(id -u)" -ne 0 ] || return 0
	command -v sudo >/dev/null || {
		echo "test: error: the privileged tests need root, or sudo" >&2
		exit 1
	}
	as_root=(-exec "sudo -E env PATH=$PATH")
}

failed=
# run NAME PACKAGES FLAG... [-args ARGUMENT...]: go test of the packages, if there
# are any, with its own output.
run() {
	local name=$1 list=$2 packages flags
	shift 2
	[ -n "$list" ] || return 0
	mapfile -t packages <<<"$list"
	read -ra flags <<<"${TESTFLAGS-}"
	echo "test: $name: ${#packages[@]} packages"
	go test -tags "${TAGS-}" -timeout 20m "${flags[@]}" "${packages[@]}" "$@" 2>&1 |
		tee -a "$log" || failed=yes
}

# run_group NAME PACKAGES FLAG...: apart from the others the packages with tests for
# root. Those take -test.root, and they change the machine, so that no two run at a
# time and no result of theirs is kept.
run_group() {
	local name=$1 list=$2
	shift 2
	run "$name" "$(only_first "$list" "$root")" "$@"
	run "$name, as root" "$(common "$list" "$root")" \
		"$@" -p 1 -count 1 "${as_root[@]}" -args -test.root
}

count() { grep -Ec "$1" "$log" || true; }

summary() {
	echo "test: $(count '^ok  ') packages passed, $(count '^FAIL	') failed"
	grep -E '^FAIL	' "$log" || true
}

main() {
	export PATH=$PWD/bin:$PATH
	mkdir -p .build
	: >"$log"
	local all race root
	all=$(tested_packages ./...)
	race=$(race_packages "$all")
	root=$(root_packages)
	[ -z "$root" ] || find_root
	run_group "with the race detector" "$race" -race
	run_group "without the race detector" "$(only_first "$all" "$race")"
	summary
	[ -z "$failed" ]
}

main "$@"
