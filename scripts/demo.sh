#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Shows WebAssembly containers at work in a daemon of its own, whose data, sockets
# and cgroups are apart from those of any containerd on the machine, and removes
# all of it at the end, also after Ctrl-C, SIGTERM or a failure. `make demo` builds
# what it needs.
set -euo pipefail
export LC_ALL=C # EPOCHREALTIME has a point, sort sorts by number
cd -P "$(dirname "${BASH_SOURCE[0]}")/.." # as the kernel names the files of processes

readonly runtime=io.containerd.wasmedge.v1
readonly repository=docker.io/containerd-wasm
readonly rounds=20 # pods of each handler
export PATH=$PWD/bin:$PATH:/usr/local/go/bin
export CONTAINERD_NAMESPACE=k8s.io # CRI's, so that ctr and crictl see the same images
export CONTAINERD_SUPPRESS_DEPRECATION_WARNINGS=true

dir='' daemon='' # set by make_dir and start_daemon

say() { printf '%s\n' "$*"; }
step() { printf '\n== %s\n' "$*"; }
die() {
	printf 'demo: error: %s\n' "$*" >&2
	exit 1
}

# show COMMAND...: prints the command and runs it.
show() {
	say "\$ $*"
	"$@"
}

# --- the end ---------------------------------------------------------------

# shims prints the pids of runc's shims that belong to this daemon.
shims() {
	local pid exe
	for pid in $(ps -e -o pid= -o comm= | awk '$2 ~ /^containerd-shim/ { print $1 }'); do
		exe=$(readlink "/proc/$pid/exe" 2>/dev/null) || continue
		[ "$exe" = "$PWD/bin/containerd-shim-runc-v2" ] || continue
		tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF -- "-address $dir/c.sock" && echo "$pid"
	done
	return 0
}

children() { ps -o pid= --ppid "$1" || true; }

# stop_daemon asks first; what it does not do in time ends by force.
stop_daemon() {
	[ -n "$daemon" ] || return 0
	kill -TERM "$daemon" 2>/dev/null || true
	for _ in {1..50}; do
		kill -0 "$daemon" 2>/dev/null || return 0
		sleep 0.1
	done
	kill -KILL "$daemon" 2>/dev/null || true
	wait "$daemon" 2>/dev/null || true
}

# stop_shims ends runc's pods if the daemon could not.
stop_shims() {
	local shim child
	for shim in $(shims); do
		for child in $(children "$shim"); do
			kill -KILL "$child" 2>/dev/null || true
		done
		kill -KILL "$shim" 2>/dev/null || true
	done
}

mounts() { awk -v dir="$dir/" 'index($5, dir) == 1 { print $5 }' /proc/self/mountinfo; }
# The daemon's own group for guests has $dir in its name.
cgroups() { find /sys/fs/cgroup -depth -type d -path "*${dir##*/}*" 2>/dev/null; }

unmount_all() {
	local target
	mounts | sort -r | while read -r target; do
		umount -l "$target" || true
	done
}

remove_cgroups() {
	local cgroup
	cgroups | while read -r cgroup; do
		rmdir "$cgroup" || true
	done
}

explain_failure() {
	printf '\ndemo: failed; warnings and errors of the daemon:\n' >&2
	grep -E 'level=(warn|error|fatal|panic)|^(panic|fatal|containerd-wasm):' "$dir/daemon.log" 2>/dev/null |
		tail -n 20 >&2 || true
}

report_leftovers() {
	local left
	left=$(shims && mounts && cgroups) || true
	[ ! -e "$dir" ] || left+=$dir
	if [ -n "$left" ]; then
		say "demo: could not remove: $left" >&2
	else
		say "demo: cleaned up: no process, mount, cgroup or file is left"
	fi
}

clean_up() {
	local status=$?
	trap '' INT TERM HUP
	trap - EXIT
	[ -n "$dir" ] || exit "$status"
	[ "$status" -eq 0 ] || [ "$status" -gt 128 ] || explain_failure
	say
	if [ -n "$daemon" ]; then
		timeout 20 crictl rmp --all --force >/dev/null 2>&1 || true
	fi
	stop_daemon
	stop_shims
	unmount_all
	remove_cgroups
	rm -rf --one-file-system "$dir"
	report_leftovers
	[ "$status" -ne 0 ] || say "demo: done in $SECONDS s"
	exit "$status"
}

# --- the beginning ---------------------------------------------------------

build_images() {
	step "Build images from source: two of WebAssembly, and what runc needs for comparison"
	say "\$ mkimage hello-c hello-go"
	go run ./test/images/cmd/mkimage hello-c hello-go
	go run ./test/images/cmd/mkimage sleep native-hello native-sleep pause >/dev/null
	go build -o .build/podtime ./test/cmd/podtime
}

make_dir() {
	# A short path: those of sockets end after 107 bytes.
	dir=$(mktemp -d /var/tmp/wasm-demo.XXXXXX)
	mkdir "$dir/logs"
	write_config
	export CONTAINERD_ADDRESS=$dir/c.sock CRI_CONFIG_FILE=$dir/crictl.yaml
}

# has_sys_resource says whether this process may lower oom_score_adj.
has_sys_resource() {
	local caps
	caps=$(awk '$1 == "CapEff:" { print $2 }' /proc/self/status)
	[ $(((16#$caps >> 24) & 1)) -eq 1 ]
}

write_config() {
	local restrict=true
	! has_sys_resource || restrict=false
	cat >"$dir/config.toml" <<-EOF
		version = 4
		root = "$dir/root"
		state = "$dir/state"
		[plugins.'io.containerd.server.v1.grpc']
		  address = "$dir/c.sock"
		[plugins.'io.containerd.server.v1.ttrpc']
		  address = "$dir/c.ttrpc"
		[plugins.'io.containerd.nri.v1.nri']
		  disable = true
		[plugins.'io.containerd.internal.v1.opt']
		  path = "$dir/opt"
		[plugins.'io.containerd.shim.v1.manager']
		  socket_dir = "$dir/s"
		[plugins.'io.containerd.cri.v1.runtime']
		  restrict_oom_score_adj = $restrict
		  netns_mounts_under_state_dir = true
		[plugins.'io.containerd.cri.v1.runtime'.cni]
		  conf_dir = "$dir/cni"
		[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
		  Root = "$dir/runc"
		# Compilers at work in the background would count as processes here, and take time.
		[plugins.'io.containerd.wasm.v1.engine']
		  optimize = "off"
	EOF
	cat >"$dir/crictl.yaml" <<-EOF
		runtime-endpoint: unix://$dir/c.sock
		image-endpoint: unix://$dir/c.sock
		timeout: 60
	EOF
}

# start_daemon keeps Ctrl-C away from the daemon (setsid), so that it can still
# clean up its pods, and ends it with this script however that ends (setpriv).
start_daemon() {
	step "Start a containerd of its own in $dir"
	setsid setpriv --pdeathsig TERM containerd-wasm -c "$dir/config.toml" >"$dir/daemon.log" 2>&1 &
	daemon=$!
	for _ in {1..100}; do
		kill -0 "$daemon" 2>/dev/null || die "the daemon ended: $(tail -n 3 "$dir/daemon.log")"
		! ctr version >/dev/null 2>&1 || return 0
		sleep 0.1
	done
	die "the daemon does not answer"
}

import_images() {
	local name
	for name in hello-c hello-go sleep native-hello native-sleep pause; do
		ctr images import ".build/images/$name.tar" >/dev/null
	done
}

# --- what is shown ---------------------------------------------------------

# microseconds COMMAND... runs a command and sets $took.
took=0
microseconds() {
	local start=${EPOCHREALTIME/./}
	"$@"
	took=$((${EPOCHREALTIME/./} - start))
}

milliseconds() { printf '%d.%d ms' $(($1 / 1000)) $(($1 / 100 % 10)); }

show_plugins() {
	say "\$ ctr plugins ls"
	ctr plugins ls | grep -E '^TYPE|wasm|io\.containerd\.(runtime\.v2|cri\.v1)'
}

# run_wasm IMAGE ID [ARGUMENT...]
run_wasm() {
	say "\$ ctr run --rm --runtime $runtime --snapshotter wasm $*"
	microseconds ctr run --fifo-dir "$dir/fifo" --rm --runtime "$runtime" --snapshotter wasm "$@"
	say "  ($(milliseconds $took))"
}

show_ctr() {
	step "Run both with ctr, twice: a first run may have to wait for the compiler, 3 to 4 s for Go's"
	local n
	for n in 1 2; do
		run_wasm "$repository/hello-c:latest" "c-$n"
		run_wasm "$repository/hello-go:latest" "go-$n" /hello.wasm some arguments
	done
}

# write_pod NAME, write_container NAME IMAGE: crictl's input files.
write_pod() {
	cat >"$dir/pod.json" <<-EOF
		{
		  "metadata": {"name": "$1", "namespace": "default", "uid": "$1"},
		  "log_directory": "$dir/logs",
		  "linux": {
		    "cgroup_parent": "/${dir##*/}",
		    "security_context": {"namespace_options": {"network": 2}}
		  }
		}
	EOF
}
write_container() {
	cat >"$dir/container.json" <<-EOF
		{
		  "metadata": {"name": "$1"},
		  "image": {"image": "$2"},
		  "labels": {"io.kubernetes.pod.name": "$1", "io.kubernetes.pod.namespace": "default"},
		  "log_path": "$1.log",
		  "linux": {}
		}
	EOF
}

show_pod() {
	local pod container
	step "Run a pod as kubelet does (runtime handler wasm, host network)"
	write_pod demo
	write_container demo "$repository/hello-go:latest"
	say "\$ crictl runp --runtime wasm pod.json"
	pod=$(crictl runp --runtime wasm "$dir/pod.json")
	say "\$ crictl create POD container.json pod.json && crictl start CONTAINER"
	container=$(crictl create --no-pull "$pod" "$dir/container.json" "$dir/pod.json")
	crictl start "$container" >/dev/null
	wait_for_exit "$container"
	show crictl ps --all
	say "\$ crictl logs CONTAINER"
	crictl logs "$container"
	crictl rmp --force "$pod" >/dev/null
}

wait_for_exit() {
	for _ in {1..100}; do
		[ -z "$(crictl ps --all --quiet --state exited --id "$1")" ] || return 0
		sleep 0.1
	done
	die "the container does not end"
}

# run_pod HANDLER NAME IMAGE
run_pod() {
	write_pod "$2"
	write_container "$2" "$3"
	crictl run --no-pull --runtime "$1" "$dir/container.json" "$dir/pod.json" >/dev/null
}

remove_pods() { crictl rmp --all --force >/dev/null; }

show_processes() {
	local n
	step "Ten Wasm pods, and their processes"
	for n in {1..10}; do
		run_pod wasm "sleep-$n" "$repository/sleep:latest"
	done
	say "\$ crictl ps --quiet | wc -l"
	crictl ps --quiet | wc -l
	say "\$ ps --pid DAEMON --ppid DAEMON    # the daemon and its children"
	ps -o pid,ppid,nlwp,args --pid "$daemon" --ppid "$daemon"
	[ -z "$(children "$daemon")$(shims)" ] || die "the daemon has child processes or shims"
	say "(no child, no shim, no pause process: NLWP counts threads, one for each pod and container)"
}

show_runc_processes() {
	local shim
	run_pod runc native "$repository/native-sleep:latest" || return 1
	shim=$(shims)
	say "\$ ps --pid SHIM --ppid SHIM        # one pod of runc beside them"
	ps -o pid,ppid,nlwp,comm --pid "$shim" --ppid "$shim"
}

filesystem() { df --output=fstype "$dir" | tail -n 1; }

show_times() {
	step "Time from RunPodSandbox to started ($(filesystem), host network, one pod at a time)"
	show .build/podtime -socket "unix://$dir/c.sock" -n "$rounds" \
		"wasm=$repository/hello-c:latest" "runc=$repository/native-hello:latest"
}

demo() {
	trap clean_up EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	trap 'exit 129' HUP
	make_dir
	start_daemon
	show_plugins
	import_images
	show_ctr
	show_pod
	show_processes
	if show_runc_processes; then
		remove_pods
		show_times
	else
		say "runc cannot run a pod on this machine, so there is nothing to compare with"
	fi
}

main() {
	if [ "${1-}" != as-root ]; then
		build_images
		[ "$(id -u)" -eq 0 ] || exec sudo env "PATH=$PATH" scripts/demo.sh as-root
	fi
	demo
}

main "$@"
