// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
	"github.com/containerd-wasm/containerd-wasm/test/images"
)

// kernelStatus is what the kernel says of a container's thread.
func kernelStatus(t *testing.T, c *container) map[string]string {
	t.Helper()
	return threadStatus(t, c.pid(t))
}

// threadStatus is what the kernel says of a thread (proc_pid_status(5)).
func threadStatus(t *testing.T, tid int) map[string]string {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", tid))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	status := make(map[string]string)
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		status[name] = strings.Join(strings.Fields(value), " ")
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return status
}

// usersImage knows users and groups by their names; its guest sleeps.
func usersImage(t testing.TB, d *daemon.Daemon, user string) string {
	t.Helper()
	sleep, err := images.Compile(t.Context(), images.Wasm("sleep"))
	if err != nil {
		t.Fatal(err)
	}
	img, err := images.New(images.Host(), v1.Config{Entrypoint: []string{"/sleep.wasm"}, User: user}, map[string][]byte{
		"/sleep.wasm": sleep,
		"/etc/passwd": []byte("root:x:0:0::/:\napp:x:1234:2345::/:\n"),
		"/etc/group":  []byte("root:x:0:\napp:x:2345:\nextra:x:3456:app\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	ref := "example.com/users:of-" + strings.ReplaceAll(user, ":", "-")
	d.ImportImage(t, ref, img)
	return ref
}

func bits(capabilities ...int) string {
	set := uint64(0)
	for _, c := range capabilities {
		set |= 1 << c
	}
	return fmt.Sprintf("%016x", set)
}

func id(n int64) *criapi.Int64Value { return &criapi.Int64Value{Value: n} }

// Who a guest is, as the kernel sees it. Of its capabilities it has those that a guest
// can use; root has the default ones.
func TestWhoAContainerIs(t *testing.T) {
	d := shared(t)
	plain, named, numeric := usersImage(t, d, ""), usersImage(t, d, "app"), usersImage(t, d, "77:88")
	byDefault := bits(unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FOWNER, unix.CAP_FSETID, unix.CAP_NET_BIND_SERVICE, unix.CAP_NET_RAW)
	all := bits(unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH, unix.CAP_FOWNER, unix.CAP_FSETID,
		unix.CAP_NET_BIND_SERVICE, unix.CAP_NET_BROADCAST, unix.CAP_NET_RAW)
	none := bits()
	type context = criapi.LinuxContainerSecurityContext
	for name, tc := range map[string]struct {
		image                  string
		context                *context
		uid, gid, groups, caps string
	}{
		"default":                    {plain, nil, "0", "0", "0", byDefault},
		"runAsUser":                  {plain, &context{RunAsUser: id(1000)}, "1000", "0", "0", none},
		"runAsUser of the image":     {plain, &context{RunAsUser: id(1234)}, "1234", "2345", "2345 3456", none},
		"runAsGroup":                 {plain, &context{RunAsUser: id(1000), RunAsGroup: id(3000)}, "1000", "3000", "3000", none},
		"user of the image by name":  {named, nil, "1234", "2345", "2345 3456", none},
		"user and group of image":    {numeric, nil, "77", "88", "88", none},
		"runAsUser before image's":   {named, &context{RunAsUser: id(1000)}, "1000", "0", "0", none},
		"run_as_username":            {plain, &context{RunAsUsername: "app"}, "1234", "2345", "2345 3456", none},
		"root in an image of a user": {named, &context{RunAsUser: id(0)}, "0", "0", "0", byDefault},
		// As kubelet passes them on: fsGroup is one of them.
		"fsGroup and supplementalGroups": {plain, &context{RunAsUser: id(1000), RunAsGroup: id(3000), SupplementalGroups: []int64{2000, 4000}}, "1000", "3000", "2000 3000 4000", none},
		"supplementalGroupsPolicy Merge": {named, &context{SupplementalGroups: []int64{2000}}, "1234", "2345", "2000 2345 3456", none},
		"supplementalGroupsPolicy Strict": {named, &context{SupplementalGroups: []int64{2000}, SupplementalGroupsPolicy: criapi.SupplementalGroupsPolicy_Strict},
			"1234", "2345", "2000 2345", none},
		"drop ALL":             {plain, &context{Capabilities: &criapi.Capability{DropCapabilities: []string{"ALL"}}}, "0", "0", "0", none},
		"drop one":             {plain, &context{Capabilities: &criapi.Capability{DropCapabilities: []string{"NET_RAW", "CHOWN"}}}, "0", "0", "0", bits(unix.CAP_DAC_OVERRIDE, unix.CAP_FOWNER, unix.CAP_FSETID, unix.CAP_NET_BIND_SERVICE)},
		"drop ALL, add one":    {plain, &context{Capabilities: &criapi.Capability{DropCapabilities: []string{"ALL"}, AddCapabilities: []string{"NET_BIND_SERVICE"}}}, "0", "0", "0", bits(unix.CAP_NET_BIND_SERVICE)},
		"add ALL":              {plain, &context{Capabilities: &criapi.Capability{AddCapabilities: []string{"ALL"}}}, "0", "0", "0", all},
		"add SYS_ADMIN":        {plain, &context{Capabilities: &criapi.Capability{AddCapabilities: []string{"SYS_ADMIN", "SETUID", "SYS_PTRACE"}}}, "0", "0", "0", byDefault},
		"add, not root":        {plain, &context{RunAsUser: id(1000), Capabilities: &criapi.Capability{AddCapabilities: []string{"CHOWN"}}}, "1000", "0", "0", none},
		"add ambient":          {plain, &context{RunAsUser: id(1000), Capabilities: &criapi.Capability{AddAmbientCapabilities: []string{"CHOWN"}}}, "1000", "0", "0", none}, // upstream gives ambient ones to nobody
		"escalation permitted": {plain, &context{NoNewPrivs: false}, "0", "0", "0", byDefault},
		"escalation forbidden": {plain, &context{NoNewPrivs: true}, "0", "0", "0", byDefault},
	} {
		t.Run(name, func(t *testing.T) {
			config := containerConfig(tc.image)
			config.Linux.SecurityContext = tc.context
			c := wasmPod(t, d, host).run(t, config)
			s := kernelStatus(t, c)
			groups := strings.Fields(s["Groups"])
			slices.Sort(groups)
			for what, got := range map[string][2]string{
				"Uid": {s["Uid"], daemon.UIDs(tc.uid)}, "Gid": {s["Gid"], strings.Repeat(tc.gid+" ", 3) + tc.gid},
				"Groups": {strings.Join(groups, " "), tc.groups},
				"CapEff": {s["CapEff"], tc.caps}, "CapPrm": {s["CapPrm"], tc.caps}, "CapInh": {s["CapInh"], none},
				// It cannot gain any, whatever it asks for.
				"NoNewPrivs": {s["NoNewPrivs"], "1"},
			} {
				if got[0] != got[1] {
					t.Errorf("%s is %q, want %q", what, got[0], got[1])
				}
			}
		})
	}
}

func TestUsersThatAreNotThere(t *testing.T) {
	d := shared(t)
	plain := usersImage(t, d, "")
	for name, tc := range map[string]struct {
		image   string
		context *criapi.LinuxContainerSecurityContext
		want    string
	}{
		"name":                 {plain, &criapi.LinuxContainerSecurityContext{RunAsUsername: "nobody-knows"}, "no users found"},
		"image's name":         {usersImage(t, d, "nobody-knows"), nil, "no users found"},
		"group without a user": {plain, &criapi.LinuxContainerSecurityContext{RunAsGroup: id(1)}, "is specified without user"},
		"no id of the kernel":  {plain, &criapi.LinuxContainerSecurityContext{RunAsUser: id(1<<32 - 1)}, "uid out of range"},
	} {
		t.Run(name, func(t *testing.T) {
			config := containerConfig(tc.image)
			config.Linux.SecurityContext = tc.context
			if err := wasmPod(t, d, host).attempt(t, config); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("the error is %v, want one with %q", err, tc.want)
			}
		})
	}
}

// attempt creates and starts a container that may fail.
func (p *pod) attempt(t testing.TB, config *criapi.ContainerConfig) error {
	t.Helper()
	r, err := p.d.CRI().CreateContainer(p.ctx, &criapi.CreateContainerRequest{PodSandboxId: p.id, Config: config, SandboxConfig: p.config})
	if err != nil {
		return err
	}
	c := &container{p, r.GetContainerId(), filepath.Join(p.config.GetLogDirectory(), config.GetLogPath())}
	return c.start()
}

// kubelet refuses runAsNonRoot by what the image's status says of its user.
func TestImagesTellTheirUsers(t *testing.T) {
	d := shared(t)
	for user, want := range map[string]struct {
		uid  *criapi.Int64Value
		name string
	}{"": {nil, ""}, "app": {nil, "app"}, "77:88": {id(77), ""}, "0": {id(0), ""}} {
		r, err := d.CRIImages().ImageStatus(t.Context(), &criapi.ImageStatusRequest{Image: &criapi.ImageSpec{Image: usersImage(t, d, user)}})
		if err != nil {
			t.Fatal(err)
		}
		if i := r.GetImage(); i.GetUid().GetValue() != want.uid.GetValue() || (i.GetUid() == nil) != (want.uid == nil) || i.GetUsername() != want.name {
			t.Errorf("image of user %q: %v, %q", user, i.GetUid(), i.GetUsername())
		}
	}
}
