#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The first process of the VM that scripts/test-vm.sh boots: makes it like a node,
# runs the test binaries, reports and ends it. Its root is the host's, read-only;
# what it writes is in memory and gone with it.
#
#   vm-init.sh RUNDIR    RUNDIR has `vars`, shell variables, and `tests`: a line
#                        PACKAGE, DIRECTORY, BINARY for each, separated by tabs, and
#                        behind them the flag of packages with tests for root
set -euo pipefail

readonly run=$1
# shellcheck source=/dev/null
. "$run/vars"
: "${kernel:?}" "${modules:?}" "${flags[@]?}" # from there, with what tests need in the environment

readonly cgroup=/sys/fs/cgroup

say() { printf 'vm: %s\n' "$*"; }
die() {
	say "error: $*"
	exit 1 # of the first process: the kernel panics, and the VM ends
}

# port NAME prints the device of a port to the host.
port() {
	local dir
	for dir in /sys/class/virtio-ports/*; do
		[ "$(cat "$dir/name")" != "$1" ] || echo "/dev/${dir##*/}"
	done
}

# writable_root covers the host's root with a file system in memory.
writable_root() {
	mount -t proc proc /proc
	modprobe -d "${modules%/lib/modules}" overlay
	mount -t tmpfs -o size=75% tmpfs /mnt
	mkdir /mnt/upper /mnt/work /mnt/root
	mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/root
	cd /mnt/root
	pivot_root . mnt
	umount -l /mnt
	cd /
}

mount_all() {
	mount -t proc proc /proc
	mount -t sysfs sysfs /sys
	mount -t securityfs securityfs /sys/kernel/security
	mount -t cgroup2 -o nsdelegate,memory_recursiveprot cgroup2 $cgroup
	mount -t devtmpfs devtmpfs /dev
	mkdir -p /dev/pts /dev/shm /lib/modules
	mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
	mount -t tmpfs -o mode=1777 tmpfs /dev/shm
	mount -t tmpfs -o mode=755 tmpfs /run
	# Of the kind that containerd's overlayfs can be on, unlike the root.
	export TMPDIR=/run/tmp
	mkdir -m 1777 $TMPDIR
	mount --bind "$modules" /lib/modules
	modprobe loop # a node's udev has the node by which the kernel would load it
}

# check_machine makes sure that this is what the tests are to run on.
check_machine() {
	[ "$(uname -r)" = "$kernel" ] || die "kernel $(uname -r) runs, not $kernel"
	case $(uname -v) in *Debian*) ;; *) die "this is not Debian's kernel: $(uname -v)" ;; esac
	[ "$(stat -f -c %T $cgroup)" = cgroup2fs ] || die "$cgroup is not cgroup v2"
	! grep -q ' cgroup ' /proc/self/mountinfo || die "there is a cgroup v1 hierarchy"
	# Without it, tests of profiles see only that they are refused.
	[ "$(cat /sys/module/apparmor/parameters/enabled)" = Y ] || die "AppArmor is not enabled: security modules $(cat /sys/kernel/security/lsm)"
	local wanted
	wanted=$(printf '%016x' $(((1 << ($(cat /proc/sys/kernel/cap_last_cap) + 1)) - 1)))
	grep -q "^CapEff:.*$wanted" /proc/self/status || die "not all capabilities are there"
}

# like_a_service moves to where systemd has containerd: a cgroup of its own below a
# slice, with all controllers.
like_a_service() {
	local slice=$cgroup/system.slice
	sed 's/[^ ]*/+&/g' $cgroup/cgroup.controllers >$cgroup/cgroup.subtree_control
	mkdir -p $slice/containerd.service
	sed 's/[^ ]*/+&/g' $slice/cgroup.controllers >$slice/cgroup.subtree_control
	echo $$ >$slice/containerd.service/cgroup.procs
	ulimit -n 1048576
}

passed=0 failed=()
# test_package PACKAGE DIRECTORY BINARY [FLAG]
test_package() {
	local begin=$SECONDS result=ok
	say "testing $1"
	(cd "$2" && "$3" -test.paniconexit0 "${flags[@]}" ${4:+"$4"} </dev/null) || result=FAIL
	printf '%s\t%s\t%ss\n' $result "$1" $((SECONDS - begin))
	echo "$result $1" >&4
	if [ $result = ok ]; then
		passed=$((passed + 1))
	else
		failed+=("$1")
	fi
}

main() {
	writable_root
	mount_all
	local output status
	output=$(port output) status=$(port status)
	exec 4>"$status" >"$output" 2>&1
	check_machine
	like_a_service
	# As some distributions have it: that nobody traces the daemon must not depend on it.
	echo 1 >/proc/sys/fs/suid_dumpable
	hostname containerd-wasm-vm
	ip link set lo up
	echo booted >&4
	say "Linux $kernel, $(nproc) CPUs, $(free -m | awk '/^Mem:/ { print $2 }') MB, security modules: $(cat /sys/kernel/security/lsm)"
	while IFS=$'\t' read -r package dir binary flag; do
		test_package "$package" "$dir" "$binary" "$flag"
	done <"$run/tests"
	say "$passed packages passed, ${#failed[@]} failed in $SECONDS s"
	[ ${#failed[@]} -eq 0 ] || printf 'FAIL\t%s\n' "${failed[@]}"
	echo ended >&4
	echo b >/proc/sysrq-trigger
	sleep infinity
}

main
