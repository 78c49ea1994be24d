#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs critest, CRI's conformance tests, on unmodified containerd and on
# bin/containerd-wasm, and compares the results. From the environment, all optional:
#   FOCUS    a regular expression: run only tests whose names it matches
#   HANDLER  a runtime handler: run them a third time, with pods of that handler
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly out=.build/critest

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo -E env PATH="$PATH" "$@"
	else
		echo "critest: error: this needs root, or sudo" >&2
		exit 1
	fi
}

# inside runs in namespaces of its own. The kernel ends the processes, mounts, links,
# firewall rules and shared memory that are left when its first process ends, which is
# this one. It does not end with ^C, but what it waits for does, after a clean-up.
inside() {
	ip link set lo up
	"$out/run" -o "$out" -busybox "$out/root/bin/busybox" -focus "${FOCUS-}" -handler "${HANDLER-}"
}

# remove_cgroup removes the parent of all pods' cgroups if nobody has any.
remove_cgroup() {
	local dir
	for dir in /sys/fs/cgroup/k8s.io /sys/fs/cgroup/*/k8s.io; do
		[ ! -d "$dir" ] || as_root rmdir --ignore-fail-on-non-empty "$dir" 2>/dev/null || true
	done
}

main() {
	local code=0
	go build -o "$out/run" ./test/cmd/critest
	as_root unshare --mount --net --ipc --pid --fork --kill-child --mount-proc scripts/critest.sh inside || code=$?
	remove_cgroup
	return "$code"
}

if [ "${1-}" = inside ]; then
	inside
else
	trap remove_cgroup INT TERM
	main
fi
