#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Formats, tidies and lints everything, and fails if one of these changed a file or
# found something. In a clean checkout that is: if the tree is dirty afterwards.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly build=$PWD/.build/check
readonly modules=(. tools tools/lint test/images/web)

step() { printf 'check: %s\n' "$*"; }

files() { git ls-files --cached --others --exclude-standard "$@"; }

# existing PATTERN... prints the files that are there; git still knows deleted ones.
existing() {
	local file
	files "$@" | while read -r file; do
		[ ! -f "$file" ] || printf '%s\n' "$file"
	done
}

snapshot() { existing | xargs -d '\n' sha256sum; }

# scripts prints the shell scripts; one that others source has no #!.
scripts() {
	{
		existing '*.sh'
		existing | xargs -d '\n' grep -lE '^#!.*\b(ba)?sh\b' | grep -vE '\.(md|go)$'
	} | sort -u
}

build_linter() {
	step "building golangci-lint"
	go build -C tools/lint -o "$build/golangci-lint" github.com/golangci/golangci-lint/v2/cmd/golangci-lint
}

tidy() {
	local module
	for module in "${modules[@]}"; do
		step "go mod tidy in $module"
		go -C "$module" mod tidy
	done
}

check_go() {
	step "gofmt, goimports"
	"$build/golangci-lint" fmt
	step "go vet"
	go vet -tags "${TAGS-}" ./...
	step "golangci-lint"
	"$build/golangci-lint" run --build-tags "${TAGS// /,}"
}

check_c() {
	step "clang-format"
	existing '*.c' '*.h' | xargs -rd '\n' clang-format-19 -i
}

check_scripts() {
	step "shellcheck"
	scripts | xargs -rd '\n' shellcheck --external-sources
}

check_licences() {
	step "SPDX headers"
	local missing
	missing=$(existing '*.go' '*.c' '*.h' '*.sh' Makefile | xargs -d '\n' grep -L 'SPDX-License-Identifier: Apache-2.0' || true)
	[ -z "$missing" ] || {
		printf 'check: error: no SPDX-License-Identifier in: %s\n' "$missing" >&2
		return 1
	}
}

# check_named_tests: the documents name a test or a benchmark for what they claim, so
# each has to be there.
check_named_tests() {
	step "tests named in docs"
	local missing
	# shellcheck disable=SC2016 # Markdown quotes so
	missing=$(comm -23 \
		<(grep -ohE '`(Test|Fuzz|Benchmark)[A-Za-z0-9]+`' docs/*.md README.md | tr -d '`' | sort -u) \
		<(existing '*_test.go' | xargs -d '\n' sed -nE 's/^func ((Test|Fuzz|Benchmark)[A-Za-z0-9]+)\(.*/\1/p' | sort -u))
	[ -z "$missing" ] || {
		printf 'check: error: docs name tests that are not there: %s\n' "$missing" >&2
		return 1
	}
}

main() {
	mkdir -p "$build"
	snapshot >"$build/before"
	build_linter
	tidy
	check_go
	check_c
	check_scripts
	check_licences
	check_named_tests
	snapshot >"$build/after"
	if ! cmp -s "$build/before" "$build/after"; then
		echo "check: error: these files were not formatted or tidy:" >&2
		comm -13 <(sort "$build/before") <(sort "$build/after") | cut -c67- >&2
		return 1
	fi
	step "everything is in order"
}

main "$@"
