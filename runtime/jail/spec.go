// SPDX-License-Identifier: Apache-2.0

package jail

// #include <stdlib.h>
// #include "jail.h"
import "C"

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"unsafe"

	"github.com/containerd/errdefs"
	"github.com/second-state/WasmEdge-go/wasmedge"
)

// File is what one of a guest's fds 0, 1 and 2 is opened on: a host path and
// the flags of open(2). The zero File stands for nothing: an empty input, an
// output that is thrown away.
type File struct {
	Path  string
	Flags int
}

// Mount is a bind mount into the guest's root, or an empty tmpfs.
type Mount struct {
	Source        string // host path; empty: a tmpfs
	Name          string // of Source, for errors; empty: the path
	Target        string // absolute path in the guest; made when it is missing
	Attr          uint64 // MOUNT_ATTR_* (mount_setattr(2)); NODEV and NOSUID always hold
	AttrClear     uint64 // which of them are not as with Source: MOUNT_ATTR__ATIME, for an Attr of these
	Recursive     bool   // with the mounts below Source
	AttrRecursive bool   // Attr holds for those as well
	Options       string // of a tmpfs: "size=1m,mode=1777"
}

// Sysctl is a value for a file below /proc/sys, in the thread's namespaces.
type Sysctl struct {
	Path, Value string
}

// Spec is the work order for a thread. With no Module it is parked: it holds
// its namespaces until it is killed.
type Spec struct {
	Module     *wasmedge.AST // compiled; stays loaded until Done
	Entry      string        // exported function without parameters; if its result is an i32, that is the exit code
	Initialize string        // another one, to be called before it; empty: none
	// Describe is called when the guest has trapped, for what to write on its stderr
	// below the reason: at most MaxDescription bytes of it. It may be nil.
	Describe func(Trace) string
	// Termination is a file of the guest's to which the reason goes as well, unless the
	// guest has written to it; empty: none.
	Termination    string
	Args, Env      []string
	Rootfs         string // host directory that becomes the guest's /
	RootfsReadonly bool   // for the guest
	RootfsSealed   bool   // for everybody: not even mount points are made in it
	Mounts         []Mount
	Stdio          [3]File

	// View is what another guest sees, for this one to see the same. Rootfs is then
	// View.Root; Mounts, NetNS and the paths to hide have no effect, and the other
	// guest's MemoryLimit is for both together. It stays open until New returns.
	View *View

	NetNS    string // path of the network namespace to join; empty: the daemon's
	NewNetNS bool   // without NetNS: an empty one
	NewIPC   bool   // an IPC namespace of its own
	NewUTS   bool   // a UTS namespace of its own
	Hostname string // in the new UTS namespace
	Sysctls  []Sysctl
	UID, GID uint32
	Groups   []uint32
	Caps     uint64 // effective and permitted: bit n is capability n
	Umask    uint32

	// Cgroup is the file tasks (cgroup v1) or cgroup.threads (v2) of the group to
	// join; empty: the spawner's.
	Cgroup   string
	AppArmor string // profile to change to; empty: the daemon's
	// Seccomp is a classic BPF program, struct sock_filter[] in the host's byte
	// order, that the kernel asks beside the filter of every guest. TRAP ends
	// the guest; the KILL actions would end the process.
	Seccomp  []byte
	Masked   []string // absolute paths that look empty; those that do not exist are skipped
	Readonly []string // absolute paths below which nothing can be changed, likewise

	MemoryLimit   uint64 // bytes of linear memory, and of buffers of directories that are read; 0: no limit
	InitialMemory uint64 // bytes of it that the module starts with
	Overhead      uint64 // bytes to charge to the budget beside those, and the stack after its first 64 KiB
	StackSize     uint64 // bytes of native stack, at most
	MaxFiles      int    // fds are below this number; 0: DefaultMaxFiles
}

// DefaultMaxFiles bounds a guest's open files, each of which takes the kernel some 300
// bytes, and the engine 400, that no limit of the guest counts. What a directory takes
// that is read, its MemoryLimit does.
const DefaultMaxFiles = 16384

// sockFilter is the size of a struct sock_filter, maxFilter the number of them in
// a program (BPF_MAXINSNS).
const (
	sockFilter = 8
	maxFilter  = 4096
)

// order is a Spec in C memory, which the thread reads until it is reaped.
type order struct {
	spec   *C.struct_jail_spec
	blocks []unsafe.Pointer
	rest   []byte // of the last block: not used yet
}

// blockSize is what most orders need; a call of C for each string would take longer
// than all the rest.
const blockSize = 8 << 10

func newOrder(s *Spec) (*order, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	o := &order{}
	o.spec = (*C.struct_jail_spec)(o.alloc(1, C.sizeof_struct_jail_spec))
	c := o.spec
	if s.Module != nil {
		module, err := modulePointer(s.Module)
		if err != nil {
			o.free()
			return nil, err
		}
		c.module = module
	}
	c.entry, c.init, c.rootfs = o.optional(s.Entry), o.optional(s.Initialize), o.optional(s.Rootfs)
	c.traced, c.termination = flag(s.Describe != nil), o.optional(s.Termination)
	c.netns, c.hostname = o.optional(s.NetNS), o.optional(s.Hostname)
	c.rootfs_readonly, c.rootfs_sealed = flag(s.RootfsReadonly), flag(s.RootfsSealed)
	if s.View != nil {
		c.mntns, c.netns = o.optional(s.View.path(viewMounts)), o.optional(s.View.path(viewNetwork))
	}
	c.new_netns = flag(s.NewNetNS)
	c.new_ipc, c.new_uts = flag(s.NewIPC), flag(s.NewUTS)
	for i, f := range s.Stdio {
		c.stdio[i] = C.struct_jail_file{path: o.optional(f.Path), flags: C.int(f.Flags)}
	}
	c.args, c.n_args = o.list(s.Args), C.uint32_t(len(s.Args))
	c.env, c.n_env = o.list(s.Env), C.uint32_t(len(s.Env))
	c.mounts, c.n_mounts = o.mounts(s.Mounts), C.size_t(len(s.Mounts))
	c.sysctls, c.n_sysctls = o.sysctls(s.Sysctls), C.size_t(len(s.Sysctls))
	c.groups, c.n_groups = o.groups(s.Groups), C.size_t(len(s.Groups))
	c.uid, c.gid, c.caps, c.umask = C.uint32_t(s.UID), C.uint32_t(s.GID), C.uint64_t(s.Caps), C.uint32_t(s.Umask)
	c.cgroup, c.apparmor = o.optional(s.Cgroup), o.optional(s.AppArmor)
	c.filter, c.n_filter = o.bytes(s.Seccomp), C.uint16_t(len(s.Seccomp)/sockFilter)
	c.masked, c.readonly = o.list(s.Masked), o.list(s.Readonly)
	c.memory_limit, c.initial_memory = C.uint64_t(orMax(s.MemoryLimit, math.MaxUint64)), C.uint64_t(s.InitialMemory)
	c.overhead, c.stack_size = C.uint64_t(s.Overhead), C.size_t(s.StackSize)
	c.max_files = C.int(orMax(uint64(s.MaxFiles), DefaultMaxFiles))
	return o, nil
}

// orMax is n, or most if n is 0 or more than that.
func orMax(n, most uint64) uint64 {
	if n == 0 || n > most {
		return most
	}
	return n
}

// validate refuses what C strings cannot carry, and a guest without a root.
func (s *Spec) validate() error {
	if s.Module != nil && (s.Rootfs == "" || s.StackSize == 0) {
		return fmt.Errorf("a guest needs a root and a stack: %w", errdefs.ErrInvalidArgument)
	}
	if len(s.Seccomp)%sockFilter != 0 || len(s.Seccomp) > maxFilter*sockFilter || s.MaxFiles < 0 {
		return fmt.Errorf("a malformed seccomp program, or a negative number of files: %w", errdefs.ErrInvalidArgument)
	}
	strs := slices.Concat([]string{s.Entry, s.Initialize, s.Rootfs, s.NetNS, s.Hostname, s.Cgroup, s.AppArmor, s.Termination}, s.Args, s.Env, s.Masked, s.Readonly)
	for _, f := range s.Stdio {
		strs = append(strs, f.Path)
	}
	for _, m := range s.Mounts {
		strs = append(strs, m.Source, m.Target, m.Options)
	}
	for _, ctl := range s.Sysctls {
		strs = append(strs, ctl.Path, ctl.Value)
	}
	for _, str := range strs {
		if strings.IndexByte(str, 0) >= 0 {
			return fmt.Errorf("%q contains a NUL byte: %w", str, errdefs.ErrInvalidArgument)
		}
	}
	return nil
}

// alloc returns zeroed C memory for n items. It never fails: for cgo, a failed
// C.malloc is fatal, as running out of memory is for Go.
func (o *order) alloc(n int, size C.size_t) unsafe.Pointer {
	const align = 8
	need := (n*int(size) + align - 1) &^ (align - 1)
	if need > len(o.rest) {
		block := max(need, blockSize)
		p := C.malloc(C.size_t(block))
		o.blocks, o.rest = append(o.blocks, p), unsafe.Slice((*byte)(p), block)
	}
	p := o.rest[:need]
	o.rest = o.rest[need:]
	clear(p)
	return unsafe.Pointer(unsafe.SliceData(p))
}

func (o *order) free() {
	for _, p := range o.blocks {
		C.free(p)
	}
	o.blocks, o.rest = nil, nil
}

func (o *order) optional(s string) *C.char {
	if s == "" {
		return nil
	}
	return o.str(s)
}

func (o *order) str(s string) *C.char {
	p := o.alloc(len(s)+1, 1)
	copy(unsafe.Slice((*byte)(p), len(s)), s)
	return (*C.char)(p)
}

func (o *order) bytes(b []byte) unsafe.Pointer {
	if len(b) == 0 {
		return nil
	}
	p := o.alloc(len(b), 1)
	copy(unsafe.Slice((*byte)(p), len(b)), b)
	return p
}

func (o *order) list(strs []string) **C.char {
	p := (**C.char)(o.alloc(len(strs)+1, C.size_t(unsafe.Sizeof(uintptr(0)))))
	out := unsafe.Slice(p, len(strs))
	for i, s := range strs {
		out[i] = o.str(s)
	}
	return p
}

func (o *order) mounts(mounts []Mount) *C.struct_jail_mount {
	if len(mounts) == 0 {
		return nil
	}
	p := (*C.struct_jail_mount)(o.alloc(len(mounts), C.sizeof_struct_jail_mount))
	out := unsafe.Slice(p, len(mounts))
	for i, m := range mounts {
		out[i] = C.struct_jail_mount{
			source:         o.optional(m.Source),
			name:           o.optional(cmp.Or(m.Name, m.Source)),
			target:         o.str(m.Target),
			attr_set:       C.uint64_t(m.Attr),
			attr_clear:     C.uint64_t(m.AttrClear),
			recursive:      flag(m.Recursive),
			attr_recursive: flag(m.AttrRecursive),
			options:        o.optional(m.Options),
		}
	}
	return p
}

func (o *order) sysctls(sysctls []Sysctl) *C.struct_jail_sysctl {
	if len(sysctls) == 0 {
		return nil
	}
	p := (*C.struct_jail_sysctl)(o.alloc(len(sysctls), C.sizeof_struct_jail_sysctl))
	out := unsafe.Slice(p, len(sysctls))
	for i, ctl := range sysctls {
		out[i] = C.struct_jail_sysctl{path: o.str(ctl.Path), value: o.str(ctl.Value)}
	}
	return p
}

func (o *order) groups(groups []uint32) *C.uint32_t {
	if len(groups) == 0 {
		return nil
	}
	p := (*C.uint32_t)(o.alloc(len(groups), C.sizeof_uint32_t))
	copy(unsafe.Slice((*uint32)(p), len(groups)), groups)
	return p
}

func flag(b bool) C.int {
	if b {
		return 1
	}
	return 0
}
