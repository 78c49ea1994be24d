#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs the tests of the package with C in it, and with guests, under AddressSanitizer
# and UndefinedBehaviorSanitizer, as root. A finding ends the tests; one on a guest's
# thread without a word, as its text goes to that guest's stderr. From the environment,
# all optional:
#   TAGS       build tags
#   TESTFLAGS  more arguments for go test, such as -run
#
# docs/rationale.md says what runs under which checker, and what cannot.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

as_root=()
if [ "$(id -u)" -ne 0 ]; then
	as_root=(-exec "sudo -E env PATH=$PATH")
fi

# The handlers of signals are ours, and so are the stacks that they run on. Guests end
# by longjmp, and what their host calls had allocated is lost, so leaks are not looked
# for here: the soak does it.
export ASAN_OPTIONS=handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_sigill=0:handle_abort=0
ASAN_OPTIONS+=:use_sigaltstack=0:detect_stack_use_after_return=0:detect_leaks=0
export CGO_CFLAGS="-g -O1 -fno-omit-frame-pointer -fsanitize=undefined -fno-sanitize-recover=undefined"
export CGO_LDFLAGS=-fsanitize=undefined

# Freed memory is kept, so that its use shows: what the process has means nothing.
readonly skipped=TestKillLosesNoMemory

read -ra flags <<<"${TESTFLAGS-}"
go test -asan -tags "${TAGS-}" -count 1 -timeout 20m -skip "$skipped" "${as_root[@]}" "${flags[@]}" ./runtime/jail -args -test.root
