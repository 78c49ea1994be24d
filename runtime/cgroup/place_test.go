// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/sys/mountinfo"
)

func TestPlaceAmong(t *testing.T) {
	v1 := func(controllers, root, at string) *mountinfo.Info {
		return &mountinfo.Info{FSType: "cgroup", VFSOptions: "rw," + controllers, Root: root, Mountpoint: at}
	}
	v2 := func(root, at string) *mountinfo.Info {
		return &mountinfo.Info{FSType: "cgroup2", VFSOptions: "rw", Root: root, Mountpoint: at}
	}
	const name = "containerd-wasm%2Frun%2Fcontainerd"
	for _, tc := range []struct {
		desc    string
		mounts  []*mountinfo.Info
		own     map[string]string
		unified string
		want    place
	}{
		{
			desc: "version 2", mounts: []*mountinfo.Info{v2("/", "/sys/fs/cgroup")}, unified: "/system.slice/containerd.service",
			want: place{"/sys/fs/cgroup", "/sys/fs/cgroup/system.slice/containerd.service/" + name, true},
		},
		{
			desc: "version 2, the root", mounts: []*mountinfo.Info{v2("/", "/sys/fs/cgroup")}, unified: "/",
			want: place{"/sys/fs/cgroup", "/sys/fs/cgroup/" + name, true},
		},
		{
			desc:   "version 1",
			mounts: []*mountinfo.Info{v1("memory", "/", "/m"), v1("cpu,cpuacct", "/", "/c")}, own: map[string]string{"cpu": "/d", "memory": "/x"},
			want: place{"/c", "/c/d/" + name, false},
		},
		{
			desc: "hybrid", mounts: []*mountinfo.Info{v2("/", "/u"), v1("cpu", "/", "/c")}, own: map[string]string{"cpu": "/"}, unified: "/y",
			want: place{"/c", "/c/" + name, false},
		},
		{
			desc: "version 1, but cpu in version 2", mounts: []*mountinfo.Info{v1("memory", "/", "/m"), v2("/", "/u")},
			own: map[string]string{"memory": "/"}, unified: "/y",
			want: place{"/u", "/u/y/" + name, true},
		},
		{
			desc: "a part of the hierarchy", mounts: []*mountinfo.Info{v2("/other", "/o"), v2("/docker/1", "/p")}, unified: "/docker/1/x",
			want: place{"/p", "/p/x/" + name, true},
		},
		{
			desc: "cpuset is not cpu", mounts: []*mountinfo.Info{v1("cpuset", "/", "/s"), v1("cpu", "/", "/c")}, own: map[string]string{"cpu": "/"},
			want: place{"/c", "/c/" + name, false},
		},
		{desc: "not mounted", mounts: []*mountinfo.Info{v1("memory", "/", "/m")}, own: map[string]string{"cpu": "/", "memory": "/"}},
		{desc: "mounted elsewhere", mounts: []*mountinfo.Info{v2("/docker/1", "/p")}, unified: "/docker/12"},
		{desc: "nothing"},
	} {
		got, err := placeAmong(tc.mounts, tc.own, tc.unified, "/run/containerd")
		if got != tc.want || (err != nil) != (tc.want == place{}) || err != nil && !errdefs.IsFailedPrecondition(err) {
			t.Errorf("%s: got %+v, %v", tc.desc, got, err)
		}
	}
}

func TestStateDirectoriesHavePlacesOfTheirOwn(t *testing.T) {
	seen := map[string]string{}
	for _, state := range []string{"/run/containerd", "/run/containerd/", "/run%2Fcontainerd", "/run-containerd", "/run/a/b", "/run/a%2Fb"} {
		p, err := placeAmong([]*mountinfo.Info{{FSType: "cgroup2", Root: "/", Mountpoint: "/c"}}, nil, "/", state)
		if err != nil || filepath.Dir(p.dir) != "/c" {
			t.Fatalf("%s: %+v, %v", state, p, err)
		}
		if other, ok := seen[p.dir]; ok {
			t.Errorf("%s and %s are both %s", state, other, p.dir)
		}
		seen[p.dir] = state
	}
}

// What the host lacks is an error only for guests that ask for it, and names
// the file.
func TestMissingFiles(t *testing.T) {
	root := &Root{place: place{dir: t.TempDir()}}
	root.pool.place = root.place
	g, err := root.New(resources(t, `{"cpu":{"shares":1024,"period":50000}}`))
	if err != nil || g.Join() != "" {
		t.Errorf("defaults: %v", err)
	}
	_, err = root.New(resources(t, `{"cpu":{"quota":20000}}`))
	if !errdefs.IsFailedPrecondition(err) || !strings.Contains(err.Error(), "cpu.cfs_quota_us") {
		t.Errorf("a quota: %v", err)
	}
	// The spare is tried in the background.
	eventually(t, "nothing to be left behind", func() error {
		left, err := os.ReadDir(root.place.dir)
		if len(left) > 0 {
			err = fmt.Errorf("there is %v", left)
		}
		return err
	})
}
