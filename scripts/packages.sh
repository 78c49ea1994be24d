# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Which packages have tests, and of which kind; for scripts that run tests to source.
# They set SKIP_PKGS, an extended regular expression of packages to leave out, and
# TAGS, the build tags, in the environment.

# The flag -test.root is this package's: what imports it has tests for root.
readonly testutil=github.com/containerd/containerd/v2/pkg/testutil

list() { go list -tags "${TAGS-}" "$@"; }

# tested_packages PATTERN... prints those of the packages that have tests.
tested_packages() {
	local found
	found=$(list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' "$@")
	{ grep -Ev "${SKIP_PKGS:-^$}" <<<"$found" || true; } | sort
}

# packages_with REGEXP prints the packages whose test binaries contain a package
# that REGEXP matches as a whole.
packages_with() {
	# shellcheck disable=SC2016 # $p is the template's
	list -test -f '{{$p := .ImportPath}}{{range .Deps}}{{$p}} {{.}}{{"\n"}}{{end}}' ./... |
		awk -v wanted="^($1)\$" '$1 ~ /\.test$/ && $2 ~ wanted { sub(/\.test$/, "", $1); print $1 }' | sort -u
}

# common and only_first compare two sorted lists.
common() { comm -12 <(echo "$1") <(echo "$2"); }
only_first() { comm -23 <(echo "$1") <(echo "$2"); }

# root_packages prints the packages with tests for root.
root_packages() { packages_with "$testutil"; }
