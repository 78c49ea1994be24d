#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs each fuzz target of the tree for a while. An input that fails is written to
# testdata/fuzz of its package, where the normal tests find it. From the
# environment, all optional:
#   FUZZTIME   how long each target runs, or how often (100x); default 30s
#   FUZZ       an extended regular expression of the targets to run
#   TAGS       build tags
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

as_root=()
if [ "$(id -u)" -ne 0 ] && command -v sudo >/dev/null; then
	as_root=(-exec "sudo -E env PATH=$PATH")
fi

# targets prints a package directory and the name of a target on each line.
targets() {
	grep -rHo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . |
		sed -E 's|/[^/]*_test\.go:func | |' | grep -E " (${FUZZ:-.*})\$" | sort
}

# fuzz DIR NAME runs one target. Packages with tests for root take -test.root.
fuzz() {
	local flags=() args=()
	if grep -qs containerd/v2/pkg/testutil "$1"/*_test.go; then
		flags=("${as_root[@]}")
		args=(-args -test.root)
	fi
	go test -tags "${TAGS-}" -run '^$' -fuzz "^$2\$" -fuzztime "${FUZZTIME:-30s}" \
		"${flags[@]}" "$1" "${args[@]}"
}

failed=()
if ! list=$(targets); then
	echo "fuzz: error: no fuzz target matches FUZZ=${FUZZ-}" >&2
	exit 1
fi
while read -r dir name; do
	echo "fuzz: $dir $name"
	fuzz "$dir" "$name" </dev/null || failed+=("$dir $name")
done <<<"$list"
if [ ${#failed[@]} -gt 0 ]; then
	printf 'fuzz: failed: %s\n' "${failed[@]}" >&2
	exit 1
fi
echo "fuzz: $(wc -l <<<"$list") targets passed"
