// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
)

// What a container gets as arguments and environment is what its pod says, byte for byte.
func TestArgumentsAndEnvironment(t *testing.T) {
	d := shared(t)
	many := make([]*criapi.KeyValue, 2000)
	for i := range many {
		many[i] = &criapi.KeyValue{Key: fmt.Sprintf("MANY_%d", i), Value: []byte(strings.Repeat("v", 100))}
	}
	for name, tc := range map[string]struct {
		args []string
		envs []*criapi.KeyValue
		want []string // lines
	}{
		"none":        {nil, nil, []string{"arg /env.wasm"}},
		"empty":       {[]string{"", "a", ""}, []*criapi.KeyValue{{Key: "EMPTY"}}, []string{"arg ", "arg a", "env EMPTY="}},
		"spaces":      {[]string{" a  b ", "\"'$HOME`"}, []*criapi.KeyValue{{Key: "A", Value: []byte(" x  y ")}}, []string{"arg  a  b ", "arg \"'$HOME`", "env A= x  y "}},
		"equal signs": {[]string{"--a=b=c"}, []*criapi.KeyValue{{Key: "A", Value: []byte("b=c=d")}}, []string{"arg --a=b=c", "env A=b=c=d"}},
		"UTF-8":       {[]string{"Grüße, 世界"}, []*criapi.KeyValue{{Key: "NAME", Value: []byte("Zoë")}}, []string{"arg Grüße, 世界", "env NAME=Zoë"}},
		"several lines": {[]string{"a\nb"}, []*criapi.KeyValue{{Key: "A", Value: []byte("x\ny")}},
			[]string{"arg a", "b", "env A=x", "y"}},
		"the last of two": {nil, []*criapi.KeyValue{{Key: "A", Value: []byte("1")}, {Key: "A", Value: []byte("2")}}, []string{"env A=2"}},
		"long":            {[]string{strings.Repeat("a", 100_000)}, nil, []string{"arg " + strings.Repeat("a", 100_000)}},
		"many":            {nil, many, []string{"env MANY_0=" + strings.Repeat("v", 100), "env MANY_1999=" + strings.Repeat("v", 100)}},
	} {
		t.Run(name, func(t *testing.T) {
			config := containerConfig("env", tc.args...)
			config.Envs = tc.envs
			c := wasmPod(t, d, host).run(t, config)
			c.expectExit(t, 0, "Completed")
			lines := strings.Split(c.logs(t, "stdout"), "\n")
			for _, want := range tc.want {
				if !slices.Contains(lines, want) {
					t.Errorf("no %.100q among %.1000q", want, lines)
				}
			}
		})
	}
}

// A string that ends early would be another one for the guest than for its client.
func TestStringsWithNUL(t *testing.T) {
	d := shared(t)
	for name, change := range map[string]func(*criapi.ContainerConfig){
		"argument":          func(c *criapi.ContainerConfig) { c.Args = []string{"a\x00b"} },
		"environment":       func(c *criapi.ContainerConfig) { c.Envs = []*criapi.KeyValue{{Key: "A", Value: []byte("a\x00b")}} },
		"working directory": func(c *criapi.ContainerConfig) { c.WorkingDir = "/a\x00b" },
		"command":           func(c *criapi.ContainerConfig) { c.Command = []string{"/env.wasm\x00"} },
		"function":          func(c *criapi.ContainerConfig) { c.Command = []string{"/env.wasm#_start\x00"} },
	} {
		t.Run(name, func(t *testing.T) {
			config := containerConfig("env")
			change(config)
			if err := wasmPod(t, d, host).attempt(t, config); err == nil || !strings.Contains(err.Error(), "NUL byte") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// WASI has no working directory. Programs that want one take it from PWD, as Go's do,
// and an entrypoint is looked for there. For those of wasi-libc a relative path
// begins at the root.
func TestWorkingDirectory(t *testing.T) {
	d := shared(t)
	for name, tc := range map[string]struct {
		dir  string
		envs []*criapi.KeyValue
		want string
	}{
		"the image's":       {"", nil, "env PWD=/"},
		"the pod's":         {"/some/where", nil, "env PWD=/some/where"},
		"one that is there": {"/etc", nil, "env PWD=/etc"},
		"not clean":         {"/some/../where/", nil, "env PWD=/some/../where/"},
		"PWD of the pod":    {"/some/where", []*criapi.KeyValue{{Key: "PWD", Value: []byte("/other")}}, "env PWD=/other"},
	} {
		t.Run(name, func(t *testing.T) {
			config := containerConfig("env")
			config.WorkingDir, config.Envs = tc.dir, tc.envs
			c := wasmPod(t, d, host).run(t, config)
			c.expectExit(t, 0, "Completed")
			if got := c.logs(t, "stdout"); strings.Count(got, "env PWD=") != 1 || !strings.Contains(got, tc.want+"\n") {
				t.Errorf("%q, and not %q", got, tc.want)
			}
		})
	}
	config := containerConfig(toolsImage, "etc/hostname")
	config.Command, config.WorkingDir = []string{"/cat.wasm"}, "/some/where"
	p := wasmPod(t, d, host)
	c := p.run(t, config)
	c.expectExit(t, 0, "Completed")
	if got := c.logs(t, "stdout"); got != p.config.GetHostname()+"\n" {
		t.Errorf("a relative path of wasi-libc: %q", got)
	}
}

// localhost writes a seccomp profile as it is on a node, and returns how a pod names it.
func localhost(t *testing.T, action string, calls ...string) *criapi.SecurityProfile {
	t.Helper()
	profile := filepath.Join(t.TempDir(), "profile.json")
	text := fmt.Sprintf(`{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["%s"], "action": %q}]}`, strings.Join(calls, `", "`), action)
	if err := os.WriteFile(profile, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return &criapi.SecurityProfile{ProfileType: criapi.SecurityProfile_Localhost, LocalhostRef: profile}
}

// The kernel has one filter for every guest, and one more for a profile.
func TestSeccompProfiles(t *testing.T) {
	d := shared(t)
	for name, tc := range map[string]struct {
		profile *criapi.SecurityProfile
		filters string
	}{
		"none":           {nil, "1"},
		"Unconfined":     {&criapi.SecurityProfile{ProfileType: criapi.SecurityProfile_Unconfined}, "1"},
		"RuntimeDefault": {&criapi.SecurityProfile{ProfileType: criapi.SecurityProfile_RuntimeDefault}, "2"},
		"Localhost":      {localhost(t, "SCMP_ACT_ERRNO", "mkdirat"), "2"},
	} {
		t.Run(name, func(t *testing.T) {
			config := containerConfig("sleep")
			config.Linux.SecurityContext = &criapi.LinuxContainerSecurityContext{Seccomp: tc.profile}
			c := wasmPod(t, d, host).run(t, config)
			c.waitForLog(t, "sleeping") // the profile is there before the guest runs, not before its start is asked for
			if s := kernelStatus(t, c); s["Seccomp"] != "2" || s["Seccomp_filters"] != tc.filters {
				t.Errorf("mode %s, %s filters, want %s", s["Seccomp"], s["Seccomp_filters"], tc.filters)
			}
		})
	}
}

type heldProfile struct {
	profile *criapi.SecurityProfile
	code    int32
	stderr  string
}

// heldProfiles says how the guest "write" ends under each.
func heldProfiles(t *testing.T) map[string]heldProfile {
	t.Helper()
	return map[string]heldProfile{
		"nothing denied": {localhost(t, "SCMP_ACT_ERRNO", "mkdirat"), 0, ""},
		"an error":       {localhost(t, "SCMP_ACT_ERRNO", "openat", "openat2"), 1, "/file: Operation not permitted\n"},
		"the end":        {localhost(t, "SCMP_ACT_KILL", "openat", "openat2"), 159, ""},
		"RuntimeDefault": {&criapi.SecurityProfile{ProfileType: criapi.SecurityProfile_RuntimeDefault}, 0, ""},
	}
}

func TestSeccompProfilesHold(t *testing.T) {
	d := shared(t)
	for name, tc := range heldProfiles(t) {
		t.Run(name, func(t *testing.T) {
			config := containerConfig("write", "/file", "text")
			config.Linux.SecurityContext = &criapi.LinuxContainerSecurityContext{Seccomp: tc.profile}
			c := wasmPod(t, d, host).run(t, config)
			c.expectExit(t, tc.code, map[bool]string{true: "Completed", false: "Error"}[tc.code == 0])
			if got := c.logs(t, "stderr"); !strings.HasSuffix(got, tc.stderr) {
				t.Errorf("stderr %q, want %q", got, tc.stderr)
			}
		})
	}
}

func TestSeccompProfilesHoldForExecs(t *testing.T) {
	d := shared(t)
	for name, tc := range heldProfiles(t) {
		t.Run(name, func(t *testing.T) {
			config := containerConfig(toolsImage)
			config.Linux.SecurityContext = &criapi.LinuxContainerSecurityContext{Seccomp: tc.profile}
			c := wasmPod(t, d, host).run(t, config)
			r, err := c.execSync(60, "/write.wasm", "/file", "text")
			if err != nil || r.GetExitCode() != tc.code || !strings.HasSuffix(string(r.GetStderr()), tc.stderr) {
				t.Errorf("code %d, stderr %q, %v; want %d, %q", r.GetExitCode(), r.GetStderr(), err, tc.code, tc.stderr)
			}
		})
	}
}

func TestSeccompProfilesThatAreNone(t *testing.T) {
	d := shared(t)
	bad := filepath.Join(t.TempDir(), "bad.json")
	if err := os.WriteFile(bad, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		profile *criapi.SecurityProfile
		want    string
	}{
		"not there":         {&criapi.SecurityProfile{ProfileType: criapi.SecurityProfile_Localhost, LocalhostRef: "/none.json"}, "/none.json"},
		"not JSON":          {&criapi.SecurityProfile{ProfileType: criapi.SecurityProfile_Localhost, LocalhostRef: bad}, "seccomp profile"},
		"an unknown call":   {localhost(t, "SCMP_ACT_ERRNO", "openat", "no_such_call"), ""},
		"an unknown action": {localhost(t, "SCMP_ACT_NONE", "openat"), "SCMP_ACT_NONE"},
	} {
		t.Run(name, func(t *testing.T) {
			config := containerConfig("exit")
			config.Linux.SecurityContext = &criapi.LinuxContainerSecurityContext{Seccomp: tc.profile}
			err := wasmPod(t, d, host).attempt(t, config)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("the error is %v, want %q", err, tc.want)
			}
		})
	}
}

// restricted is what the Pod Security Standard of that name asks for, and what such pods
// have beside it.
func restricted() *criapi.LinuxContainerSecurityContext {
	return &criapi.LinuxContainerSecurityContext{
		RunAsUser: id(1000), RunAsGroup: id(3000), SupplementalGroups: []int64{2000},
		Capabilities:   &criapi.Capability{DropCapabilities: []string{"ALL"}},
		Seccomp:        &criapi.SecurityProfile{ProfileType: criapi.SecurityProfile_RuntimeDefault},
		NoNewPrivs:     true,
		ReadonlyRootfs: true,
		MaskedPaths:    []string{"/proc/kcore", "/proc/keys", "/sys/firmware"},
		ReadonlyPaths:  []string{"/proc/sys", "/proc/bus"},
	}
}

// A pod that meets Pod Security "restricted" runs, and its fsGroup lets it write to a
// volume that kubelet has prepared.
func TestRestrictedPod(t *testing.T) {
	d := shared(t)
	volume := t.TempDir()
	const fsGroup = 2000
	if err := os.Chown(volume, 0, fsGroup); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(volume, 0o770|os.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	podConfig := podConfig(t, d, own)
	podConfig.Linux.SecurityContext.RunAsUser = id(1000)
	podConfig.Linux.SecurityContext.RunAsGroup = id(3000)
	podConfig.Linux.SecurityContext.SupplementalGroups = []int64{fsGroup}
	podConfig.Linux.SecurityContext.Seccomp = &criapi.SecurityProfile{ProfileType: criapi.SecurityProfile_RuntimeDefault}
	p := runPod(t, d, podConfig, "wasm")
	for name, tc := range map[string]struct {
		command []string
		code    int32
	}{
		"writes to its volume": {[]string{"/write.wasm", "/data/file", "text"}, 0},
		"not to its root":      {[]string{"/write.wasm", "/file", "text"}, 1},
		"reads its files":      {[]string{"/cat.wasm", "/etc/hosts"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			config := containerConfig(toolsImage)
			config.Command = tc.command
			config.Linux.SecurityContext = restricted()
			config.Mounts = []*criapi.Mount{{HostPath: volume, ContainerPath: "/data"}}
			p.run(t, config).expectExit(t, tc.code, map[bool]string{true: "Completed", false: "Error"}[tc.code == 0])
		})
	}
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(volume, "file"), &st); err != nil || st.Uid != 1000 || st.Gid != fsGroup {
		t.Errorf("the file is of user %d, group %d (%v)", st.Uid, st.Gid, err)
	}
	t.Run("probes", func(t *testing.T) {
		config := containerConfig(toolsImage)
		config.Linux.SecurityContext = restricted()
		c := p.run(t, config)
		c.waitForLog(t, "sleeping")
		r, err := c.execSync(60, "/write.wasm", "/file", "text")
		if err != nil || r.GetExitCode() != 1 || !strings.Contains(string(r.GetStderr()), "/file: ") {
			t.Errorf("an exec that writes to the root: %v, %v", r, err)
		}
		s := kernelStatus(t, c)
		if s["Uid"] != daemon.UIDs("1000") || s["Groups"] != "2000 3000" || s["CapEff"] != bits() || s["NoNewPrivs"] != "1" || s["Seccomp_filters"] != "2" {
			t.Errorf("the kernel's view of it: %v", s)
		}
	})
}
