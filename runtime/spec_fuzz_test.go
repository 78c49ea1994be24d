// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/runtime"
	"github.com/containerd/errdefs"
	"github.com/containerd/typeurl/v2"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
)

const stackSize = 8 << 20

// FuzzSpec: whatever a client sends as its OCI spec is refused with an error of a
// class that clients know, or becomes a work order that confines the guest as the
// spec asks, or more. Seeds are in testdata/fuzz.
func FuzzSpec(f *testing.F) {
	url, err := typeurl.TypeURL(&specs.Spec{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"process":{"user":{"uid":1000},"args":["/a.wasm"],"cwd":"/"},"root":{"path":"/r"}}`))
	f.Add([]byte(`{"process":{"args":["sh#a"],"env":["PATH=/bin::x"],"cwd":"/w"},"root":{"path":"/r"},"linux":{"namespaces":[{"type":"pid","path":"/proc/self/ns/pid"}],"cgroupsPath":"a:b:c"}}`))
	f.Add([]byte(`{"process":{"args":["/a"]},"root":{"path":"/r"},"annotations":{"io.kubernetes.container.terminationMessagePath":"/dev/../end"},"mounts":[{"type":"bind","source":"/src","destination":"/end/","options":["rw"]},{"type":"overlay","options":["lowerdir=/a:/b","upperdir=/c"]}]}`))
	empty := &rootfs{path: f.TempDir()}
	f.Fuzz(func(t *testing.T, text []byte) {
		opts := runtime.CreateOpts{Spec: &anypb.Any{TypeUrl: url, Value: text}}
		spec, err := parseSpec(opts)
		if err != nil {
			checkClass(t, err)
			return
		}
		checkTerminationFile(t, spec)
		checkLinuxProgram(t, spec, empty)
		checkLinuxOpts(t, opts)
		checkNamesForRunc(t, spec)
		js := &jail.Spec{StackSize: stackSize}
		if err := isolation(js, spec); err != nil {
			checkClass(t, err)
			return
		}
		checkUserAndCapabilities(t, js, spec)
		checkLimits(t, js, spec)
		checkEnvironment(t, js, spec.Process)
		if js.Mounts, err = guestMounts(spec.Mounts, js.MemoryLimit); err != nil {
			checkClass(t, err)
		}
		for _, m := range js.Mounts {
			checkMount(t, m)
		}
		if spec.Linux != nil {
			checkLinux(t, js, spec.Linux)
		}
	})
}

func checkClass(t *testing.T, err error) {
	t.Helper()
	if !errdefs.IsInvalidArgument(err) && !errdefs.IsNotImplemented(err) && !errdefs.IsPermissionDenied(err) {
		t.Errorf("an error of no class: %v", err)
	}
}

func checkUserAndCapabilities(t *testing.T, js *jail.Spec, spec *specs.Spec) {
	t.Helper()
	u := spec.Process.User
	if js.UID != u.UID || js.GID != u.GID || !slices.Equal(js.Groups, u.AdditionalGids) {
		t.Errorf("user %+v became %d, %d, %d", u, js.UID, js.GID, js.Groups)
	}
	const unchanged = 1<<32 - 1 // setresuid(2)
	if js.UID == unchanged || js.GID == unchanged {
		t.Errorf("user %+v would stay root", u)
	}
	if u.Umask != nil && js.Umask != *u.Umask {
		t.Errorf("umask %o became %o", *u.Umask, js.Umask)
	}
	var granted []string
	if c := spec.Process.Capabilities; c != nil {
		granted = slices.Concat(c.Effective, c.Ambient)
	}
	for name, bit := range capabilityBits() {
		if js.Caps&bit != 0 && !(slices.Contains(guestCapabilities, name) && slices.Contains(granted, name)) {
			t.Errorf("%s was given to a guest that was granted %q", name, granted)
		}
	}
	if p := spec.Process; p.SelinuxLabel != "" || p.ApparmorProfile != "" && p.ApparmorProfile != "unconfined" && js.AppArmor != p.ApparmorProfile {
		t.Errorf("SELinux label %q and AppArmor profile %q became %q", p.SelinuxLabel, p.ApparmorProfile, js.AppArmor)
	}
}

func checkLimits(t *testing.T, js *jail.Spec, spec *specs.Spec) {
	t.Helper()
	if js.StackSize < minStack || js.StackSize > stackSize {
		t.Errorf("a stack of %d bytes", js.StackSize)
	}
	if js.MaxFiles != 0 && js.MaxFiles < 4 || js.MaxFiles > jail.DefaultMaxFiles {
		t.Errorf("%d files", js.MaxFiles)
	}
	for _, l := range spec.Process.Rlimits {
		if l.Type == "RLIMIT_NOFILE" && l.Soft < jail.DefaultMaxFiles && js.MaxFiles != max(int(l.Soft), 4) ||
			l.Type == "RLIMIT_STACK" && js.StackSize > max(l.Soft, minStack) {
			t.Errorf("%+v became %d files, %d bytes of stack", l, js.MaxFiles, js.StackSize)
		}
	}
}

func checkEnvironment(t *testing.T, js *jail.Spec, p *specs.Process) {
	t.Helper()
	if !slices.Equal(js.Env[:len(p.Env)], p.Env) {
		t.Errorf("environment %q became %q", p.Env, js.Env)
	}
	if p.Cwd != "" && !slices.ContainsFunc(js.Env, func(e string) bool { return strings.HasPrefix(e, "PWD=") }) {
		t.Errorf("environment %q has no PWD", js.Env)
	}
}

// checkMount: this is what package jail takes for granted.
func checkMount(t *testing.T, m jail.Mount) {
	t.Helper()
	if !strings.HasPrefix(m.Target, "/") || m.Target == "/" || strings.Contains(m.Target+"/", "/../") {
		t.Errorf("target %q", m.Target)
	}
	if m.Source != "" && (m.Source[0] != '/' || m.Options != "") {
		t.Errorf("mount %+v", m)
	}
}

func checkLinux(t *testing.T, js *jail.Spec, l *specs.Linux) {
	t.Helper()
	if !slices.Equal(js.Masked, l.MaskedPaths) || !slices.Equal(js.Readonly, l.ReadonlyPaths) {
		t.Errorf("hidden paths became %q and %q", js.Masked, js.Readonly)
	}
	for _, ns := range l.Namespaces {
		if ns.Type == specs.UserNamespace || ns.Type == specs.NetworkNamespace && (js.NetNS != ns.Path || js.NewNetNS != (ns.Path == "")) {
			t.Errorf("namespace %+v became %q, %t", ns, js.NetNS, js.NewNetNS)
		}
	}
	if len(l.Devices) > 0 || l.IntelRdt != nil {
		t.Errorf("devices %v and intelRdt %v were accepted", l.Devices, l.IntelRdt)
	}
	if r := l.Resources; r != nil && r.Memory != nil && r.Memory.Limit != nil && *r.Memory.Limit > 0 && js.MemoryLimit != uint64(*r.Memory.Limit) {
		t.Errorf("memory limit %d became %d", *r.Memory.Limit, js.MemoryLimit)
	}
}

// checkTerminationFile: it is a file that is mounted in the container, for writing.
func checkTerminationFile(t *testing.T, spec *specs.Spec) {
	t.Helper()
	file := terminationFile(spec)
	if file == "" {
		return
	}
	var found *specs.Mount
	for i, m := range spec.Mounts {
		if path.Clean(m.Destination) == file {
			found = &spec.Mounts[i]
		}
	}
	if file != path.Clean(spec.Annotations[TerminationAnnotation]) || file[0] != '/' || strings.Contains(file, "\x00") ||
		found == nil || slices.Contains(found.Options, "ro") && !slices.Contains(found.Options, "rw") {
		t.Errorf("termination file %q, mounted by %+v", file, found)
	}
}

// checkLinuxProgram: nothing is found in an empty root.
func checkLinuxProgram(t *testing.T, spec *specs.Spec, empty *rootfs) {
	t.Helper()
	inside := *spec
	inside.Mounts = slices.DeleteFunc(slices.Clone(spec.Mounts), isBind) // no files of the host
	if startsLinuxProgram(&inside, empty) || moduleIn([]string{empty.path}, &inside) {
		t.Errorf("args %q name a program in an empty directory", spec.Process.Args)
	}
}

// checkLinuxOpts: runc gets the same container, without what is ours, and with a PID
// namespace that is not the daemon's.
func checkLinuxOpts(t *testing.T, opts runtime.CreateOpts) {
	t.Helper()
	opts.SandboxID, opts.Runtime = "sandbox", Name
	got, err := linuxOpts(opts, runcRuntime, false)
	if err != nil {
		if !errdefs.IsNotFound(err) { // a namespace
			checkClass(t, err)
		}
		return
	}
	spec, err := parseSpec(got)
	if err != nil || got.Runtime != runcRuntime || got.SandboxID != "" || got.Address != "" || otherBinary(got) {
		t.Errorf("%+v, %v", got, err)
		return
	}
	if spec.Linux == nil {
		return
	}
	for _, ns := range spec.Linux.Namespaces {
		if ns.Type == specs.PIDNamespace && ns.Path != "" && sameFile(ns.Path, "/proc/self/ns/pid") {
			t.Errorf("PID namespace %q is the daemon's", ns.Path)
		}
	}
}

func sameFile(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// checkNamesForRunc: they are paths, and bounded in number; and so are directories of
// mounts as a root.
func checkNamesForRunc(t *testing.T, spec *specs.Spec) {
	t.Helper()
	names := namesForRunc(spec.Process)
	if len(names) > maxNames {
		t.Errorf("%d names", len(names))
	}
	for _, name := range names {
		if !path.IsAbs(name) || path.Clean(name) != name {
			t.Errorf("name %q", name)
		}
	}
	for _, m := range spec.Mounts {
		layers := layersOf([]mount.Mount{{Type: m.Type, Source: m.Source, Options: m.Options}})
		if m.Type != "bind" && m.Type != "overlay" && layers != nil {
			t.Errorf("a root of type %q is made of %q", m.Type, layers)
		}
	}
}

// FuzzResources: whatever a client sends to Update is refused as an invalid argument, or
// asks for a limit of memory that there can be.
func FuzzResources(f *testing.F) {
	url, err := typeurl.TypeURL(&specs.LinuxResources{})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{`{"memory":{"limit":-1}}`, `{"memory":{"limit":0}}`, `{"memory":{"limit":65536}}`, `{"memory":{"limit":-2}}`, `{"memory":{}}`, `{"cpu":{"shares":2}}`, `[]`, `{"memory":{"limit":1e3}}`} {
		f.Add([]byte(seed), uint64(1<<20))
	}
	f.Fuzz(func(t *testing.T, text []byte, before uint64) {
		r, err := parseResources(&anypb.Any{TypeUrl: url, Value: text})
		if err != nil {
			checkInvalid(t, err)
			return
		}
		limit, err := newLimit(before, r.Memory)
		given := int64(0)
		if r.Memory != nil && r.Memory.Limit != nil {
			given = *r.Memory.Limit
		}
		switch {
		case err != nil:
			if checkInvalid(t, err); given >= -1 {
				t.Errorf("limit %d: %v", given, err)
			}
		case given == 0 && limit != before, given == -1 && limit != 0, given > 0 && limit != uint64(given), given < -1:
			t.Errorf("limit %d after %d is %d", given, before, limit)
		}
	})
}

func checkInvalid(t *testing.T, err error) {
	t.Helper()
	if !errdefs.IsInvalidArgument(err) {
		t.Errorf("an error of another class: %v", err)
	}
}

// FuzzGuestMounts: a mount that was to be read-only is.
func FuzzGuestMounts(f *testing.F) {
	f.Add("bind", "/src", "/data", "ro,rbind")
	f.Add("tmpfs", "", "/x", "size=1m")
	f.Add("proc", "proc", "/proc", "")
	f.Add("bind", "/", "/host", "rbind,rro")
	f.Fuzz(func(t *testing.T, kind, source, target, options string) {
		list := strings.Split(options, ",")
		mounts, err := guestMounts([]specs.Mount{{Type: kind, Source: source, Destination: target, Options: list}}, 1<<20)
		if err != nil {
			checkClass(t, err)
			return
		}
		for _, m := range mounts {
			checkMount(t, m)
			if m.Attr&unix.MOUNT_ATTR_RDONLY == 0 && (slices.Contains(list, "ro") || slices.Contains(list, "rro")) || slices.Contains(list, "rro") && m.Source != "" && !m.AttrRecursive {
				t.Errorf("options %q became %+v", options, m)
			}
		}
	})
}

// FuzzEntrypoint: what is opened is a file of the container.
func FuzzEntrypoint(f *testing.F) {
	f.Add("/app.wasm", "/work", "/bin:/usr/bin")
	f.Add("tool", "/", "/bin:/usr/bin")
	f.Add("../link.wasm", "/vol/..", "")
	f.Add("/vol/../../volume.wasm", "relative", "::")
	f.Add("/app#function", "/", "")
	f.Add("tool#a#b", "/", "/usr/bin")
	f.Add("/odd#name", "/", "")
	f.Add("#", "/", "")
	f.Add(".", "/vol", "")
	f.Add("/vol/\x00", "/", "\x00")
	js := container(f)
	f.Fuzz(func(t *testing.T, name, cwd, list string) {
		if name == "" {
			return // parseSpec refuses it
		}
		e, err := openEntrypoint(js, &specs.Process{Args: []string{name}, Cwd: cwd, Env: []string{"PATH=" + list}})
		if err != nil {
			if !errdefs.IsNotFound(err) {
				checkClass(t, err)
			}
			return
		}
		defer e.file.Close()
		if e.function == "" || !strings.HasSuffix(name, "#"+e.function) && e.function != "_start" {
			t.Errorf("%q names function %q", name, e.function)
		}
		if path := realPath(t, e.file); !strings.HasPrefix(path, js.Rootfs+"/") && !strings.HasPrefix(path, js.Mounts[0].Source+"/") {
			t.Errorf("%q in %q opened %q", name, cwd, path)
		}
	})
}

// FuzzOutput: nothing is opened relative to the daemon's working directory, and a
// path is taken as it is.
func FuzzOutput(f *testing.F) {
	for _, uri := range []string{"/run/fifo", "/run/a%20b?c#d", "fifo:///run/fifo", "file:///var/log/x", "file:", "binary:///bin/log", "relative", "//host/path", "\x7f", "%zz"} {
		f.Add(uri)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		file, err := output(uri)
		switch {
		case err != nil:
			checkClass(t, err)
		case uri == "" || uri[0] == '/':
			if file.Path != uri {
				t.Errorf("%q became %+v", uri, file)
			}
		case file.Path == "" || file.Path[0] != '/':
			t.Errorf("%q became %+v", uri, file)
		}
	})
}
