// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"slices"
	"strings"
	"testing"

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
	f.Fuzz(func(t *testing.T, text []byte) {
		spec, err := parseSpec(runtime.CreateOpts{Spec: &anypb.Any{TypeUrl: url, Value: text}})
		if err != nil {
			checkClass(t, err)
			return
		}
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
