#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs the tests for root on a stock Debian 13 kernel with cgroup v2, which most
# nodes have, in a VM that it boots. The VM's root is this machine's, which it cannot
# write to. `scripts/deps.sh vm` gets what it needs. From the environment, all optional:
#   VM_PKGS     patterns of the packages to test; by default all with tests for root
#   VM_RUN      a regular expression of the tests to run, as go test -run takes it
#   VM_FLAGS    more flags for the test binaries, such as -test.v
#   VM_TIMEOUT  of all tests, as timeout(1) takes it
#   VM_MEMORY, VM_CPUS
#   TAGS        build tags
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/packages.sh
. scripts/packages.sh

readonly vm=$PWD/.build/vm
readonly root=$vm/root # what deps.sh unpacked: Debian's kernel and virtiofsd
readonly console=$vm/console.log log=$vm/output.log
readonly memory=${VM_MEMORY:-6G} cpus=${VM_CPUS:-2} timeout=${VM_TIMEOUT:-4h}

run='' qemu='' virtiofsd='' tee=''

say() { printf 'test-vm: %s\n' "$*"; }
die() {
	printf 'test-vm: error: %s\n' "$*" >&2
	exit 1
}

clean_up() {
	local status=$?
	trap '' INT TERM HUP
	trap - EXIT
	local pid
	for pid in $qemu $virtiofsd; do
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	[ -z "$run" ] || rm -rf "$run"
	exit "$status"
}

find_kernel() {
	local found=("$root"/boot/vmlinuz-*)
	[ -f "${found[0]}" ] || die "there is no kernel in $root/boot: run scripts/deps.sh vm"
	kernel=${found[0]##*/vmlinuz-}
}

# choose_accelerator: that there is a /dev/kvm does not mean that it can run a kernel,
# as in some nested machines. One with nothing to boot from panics, which ends the VM.
choose_accelerator() {
	accelerator=tcg,thread=multi
	if [ -w /dev/kvm ] && timeout 10 qemu-system-x86_64 -accel kvm -m 512 -nodefaults -display none -no-reboot \
		-kernel "$root/boot/vmlinuz-$kernel" -append panic=-1 </dev/null >/dev/null 2>&1; then
		accelerator=kvm
	fi
}

# choose_packages sets packages, one on a line.
choose_packages() {
	local patterns
	if [ -n "${VM_PKGS-}" ]; then
		read -ra patterns <<<"$VM_PKGS"
		packages=$(tested_packages "${patterns[@]}")
	else
		packages=$(root_packages)
	fi
	[ -n "$packages" ] || die "no package with tests in ${VM_PKGS:-this module}"
}

build_tests() {
	local package dir binary flag for_root
	for_root=$(root_packages)
	while read -r package; do
		say "building the tests of $package"
		dir=$(list -f '{{.Dir}}' "$package")
		binary=$run/${package//\//-}.test
		go test -c -tags "${TAGS-}" -o "$binary" "$package"
		flag=
		[ -z "$(common "$package" "$for_root")" ] || flag=-test.root
		printf '%s\t%s\t%s\t%s\n' "$package" "$dir" "$binary" "$flag" >>"$run/tests"
	done <<<"$packages"
}

# build_programs makes what tests otherwise compile or download themselves, which is
# slow in the VM, or impossible.
build_programs() {
	local users
	users=$(packages_with "$(go list ./test/images)")
	[ -n "$(common "$packages" "$users")" ] || return 0
	say "building the programs of the test images"
	go run ./test/images/cmd/mkimage -programs -o "$run/programs"
	go build -buildvcs=false -tags "${TAGS-}" -o "$run/programs/soak-daemon" ./test/soak/daemon
	go build -buildvcs=false -tags "${TAGS-}" -ldflags "-X github.com/containerd/containerd/v2/version.Version=v99.0.0+wasm.newer" \
		-o "$run/programs/newer-daemon" ./cmd/containerd-wasm
	scripts/fetch-published.sh
	TEST_PROGRAMS=$run/programs
}

# write_variables tells the VM what it and the tests need from here. It has no
# network, so nothing can be downloaded.
write_variables() {
	local GOPROXY=off GOFLAGS=-mod=readonly GOCACHE GOMODCACHE TEST_SLOWNESS=1
	local TEST_PROGRAMS=${TEST_PROGRAMS-}
	[ "$accelerator" = kvm ] || TEST_SLOWNESS=20
	GOCACHE=$(go env GOCACHE) GOMODCACHE=$(go env GOMODCACHE)
	local flags modules=$root/usr/lib/modules
	read -ra flags <<<"${VM_FLAGS-}"
	flags=("-test.run=${VM_RUN:-.}" -test.timeout=1h "${flags[@]}")
	declare -p PATH HOME GOPROXY GOFLAGS GOCACHE GOMODCACHE TEST_SLOWNESS TEST_PROGRAMS | sed 's/^declare -[-x]*/export/' >"$run/vars"
	declare -p kernel modules flags >>"$run/vars"
}

start_virtiofsd() {
	local sandbox=none # needs no right; nothing can be written either way
	[ "$(id -u)" -ne 0 ] || sandbox=chroot
	rm -f "$run/root.sock"
	setpriv --pdeathsig TERM "$root/usr/libexec/virtiofsd" --shared-dir / --readonly --sandbox $sandbox --cache always \
		--no-announce-submounts --rlimit-nofile 0 --log-level warn --socket-path "$run/root.sock" &
	virtiofsd=$!
	for _ in {1..100}; do
		[ ! -S "$run/root.sock" ] || return 0
		kill -0 "$virtiofsd" 2>/dev/null || break
		sleep 0.1
	done
	die "virtiofsd does not start"
}

start_qemu() {
	rm -f "$console" "$run/status"
	# A pipe, as qemu's stdio would end with its standard input.
	exec {output}> >(exec tee -a "$log")
	tee=$!
	setpriv --pdeathsig TERM timeout --foreground "$timeout" setpriv --pdeathsig KILL qemu-system-x86_64 \
		-accel "$accelerator" -cpu max -smp "$cpus" -m "$memory" \
		-object "memory-backend-memfd,id=memory,size=$memory,share=on" -numa node,memdev=memory \
		-nodefaults -no-user-config -display none -no-reboot -serial "file:$console" \
		-chardev "socket,id=root,path=$run/root.sock" -device vhost-user-fs-pci,chardev=root,tag=rootfs \
		-device virtio-serial-pci \
		-add-fd "set=1,fd=$output" -chardev file,id=output,path=/dev/fdset/1,append=on -device virtserialport,chardev=output,name=output \
		-chardev "file,id=status,path=$run/status" -device virtserialport,chardev=status,name=status \
		-kernel "$root/boot/vmlinuz-$kernel" \
		-append "console=ttyS0 panic=-1 root=rootfs rootfstype=virtiofs ro init=$PWD/scripts/vm-init.sh -- $run" </dev/null &
	qemu=$!
	exec {output}>&-
}

status() { grep -oP "^$1\K.*" "$run/status" 2>/dev/null; }

show_console() {
	printf 'test-vm: the end of %s:\n' "$console" >&2
	tail -n 30 "$console" >&2
}

wait_for_boot() {
	for _ in {1..120}; do
		! status booted || return 0
		kill -0 "$qemu" 2>/dev/null || break
		sleep 1
	done
	show_console
	die "the VM does not boot"
}

run_vm() {
	local code=0
	start_virtiofsd
	start_qemu
	wait_for_boot
	wait "$qemu" || code=$?
	wait "$tee"
	wait "$virtiofsd" || true
	qemu='' virtiofsd=''
	[ "$code" -ne 124 ] || die "not done in $timeout, which VM_TIMEOUT sets"
}

# is_emulators_fault: where Linux changes its own code, it puts an int3 meanwhile.
# qemu's emulation, with a thread for each processor, may run that later, which panics
# the kernel.
is_emulators_fault() { [ "$accelerator" != kvm ] && grep -q 'Oops: int3' "$console"; }

leave_out_tested() {
	local package
	while read -r package; do
		sed -i "\\|^$package\t|d" "$run/tests"
	done < <(status '(ok|FAIL) ')
}

# run_all fails if a package did. If the emulator fails, another VM runs the rest.
run_all() {
	local failed=0 vms=1
	run_vm
	until status ended >/dev/null; do
		if ! is_emulators_fault || [ $((vms += 1)) -gt 5 ]; then
			show_console
			die "the VM ended before the tests did"
		fi
		say "the emulator failed (int3): another VM runs the rest"
		failed=$((failed + $(grep -c '^FAIL ' "$run/status" || true)))
		leave_out_tested
		run_vm
	done
	failed=$((failed + $(grep -c '^FAIL ' "$run/status" || true)))
	[ "$failed" -eq 0 ] || die "$failed packages failed"
}

main() {
	[ "$(uname -m)" = x86_64 ] || die "only for x86-64"
	export PATH=$PWD/bin:$PATH
	trap clean_up EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	trap 'exit 129' HUP
	mkdir -p "$vm"
	rm -f "$log"
	run=$(mktemp -d "$vm/run.XXXXXX")
	find_kernel
	choose_packages
	build_tests
	build_programs
	choose_accelerator
	write_variables
	say "booting Linux $kernel (${accelerator%%,*})"
	run_all
}

main
