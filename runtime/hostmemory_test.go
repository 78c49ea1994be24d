// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCgroupMemory(t *testing.T) {
	const none = math.MaxUint64
	type files map[string]string
	for _, tc := range []struct {
		desc   string
		groups string
		files  files
		want   uint64
		err    string
	}{
		{"v2, own limit", "0::/system.slice/d.service\n", files{
			"system.slice/d.service/memory.max": "1000\n", "system.slice/memory.max": "max\n",
		}, 1000, ""},
		{"v2, limit of the group above", "0::/system.slice/d.service\n", files{
			"system.slice/d.service/memory.max": "max\n", "system.slice/memory.max": "500\n",
		}, 500, ""},
		{"v2, the least of several", "0::/a/b/c\n", files{
			"a/b/c/memory.max": "900\n", "a/b/memory.max": "300\n", "a/memory.max": "700\n",
		}, 300, ""},
		{"v2, controller for the groups above only", "0::/a/b\n", files{"a/memory.max": "700\n", "a/b/cgroup.procs": ""}, 700, ""},
		{"v2, in the root group", "0::/\n", files{"cgroup.procs": ""}, none, ""},
		{"v2, no limit", "0::/a\n", files{"a/memory.max": "max\n"}, none, ""},
		{"v2, root of a container", "0::/\n", files{"memory.max": "100\n"}, 100, ""},
		{"v2, outside of the container's root", "0::/../../x\n", files{"memory.max": "100\n", "../x/memory.max": "1\n"}, 100, ""},
		{"v2, odd", "0::/a\n", files{"a/memory.max": "much\n"}, 0, `"much"`},
		{"v2, a group with a colon", "0::/a:b\n", files{"a:b/memory.max": "100\n"}, 100, ""},
		{"v1, counted by the kernel", "5:cpu:/x\n4:memory:/system.slice/d\n", files{
			"memory/system.slice/d/memory.stat": "cache 7\nhierarchical_memory_limit 400\nhierarchical_memsw_limit 9\n",
			"cpu/x/memory.stat":                 "hierarchical_memory_limit 1\n",
		}, 400, ""},
		{"v1, part of a hierarchy", "4:memory:/docker/id\n", files{"memory/memory.stat": "hierarchical_memory_limit 600\n"}, 600, ""},
		{"v1, no limit", "4:memory:/a\n", files{"memory/a/memory.stat": "hierarchical_memory_limit 9223372036854771712\n"}, 9223372036854771712, ""},
		{"v1, with another controller", "4:hugetlb,memory:/a\n", files{"memory/a/memory.stat": "hierarchical_memory_limit 5\n"}, 5, ""},
		{"v1, without a line", "4:memory:/a\n", files{"memory/a/memory.stat": "cache 7\n"}, none, ""},
		{"v1, odd", "4:memory:/a\n", files{"memory/a/memory.stat": "hierarchical_memory_limit -1\n"}, 0, `"-1"`},
		{"hybrid", "4:memory:/a\n1:name=systemd:/a\n0::/a\n", files{
			"memory/a/memory.stat": "hierarchical_memory_limit 800\n", "unified/a/cgroup.procs": "",
		}, 800, ""},
		{"nothing is mounted", "4:memory:/a\n0::/a\n", nil, none, ""},
		{"no groups", "", nil, none, ""},
	} {
		t.Run(tc.desc, func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "cgroup")
			for name, content := range tc.files {
				path := filepath.Join(root, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, err := cgroupMemory(root, tc.groups)
			switch {
			case tc.err == "" && (err != nil || got != tc.want):
				t.Errorf("got %d, %v, want %d", got, err, tc.want)
			case tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)):
				t.Errorf("got %d, %v, want %s", got, err, tc.err)
			}
		})
	}
}

func TestHostMemory(t *testing.T) {
	got, err := hostMemory()
	if err != nil || got < 64<<20 || got > 1<<50 {
		t.Fatalf("%d bytes, %v", got, err)
	}
}
