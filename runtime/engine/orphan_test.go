// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd-wasm/containerd-wasm/test/patience"
)

// A daemon that is killed takes its compilers along.
func TestChildDiesWithItsParent(t *testing.T) {
	cfg := testConfig(t)
	parent := exec.Command("/proc/self/exe", "-test.run=^TestHelperParent$", "-test.root")
	parent.Env = append(os.Environ(), helperRoot+"="+cfg.Root, "TMPDIR="+t.TempDir())
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var child string
	eventually(t, "the child has its filter", func() bool {
		children := compileChildren(t, parent.Process.Pid)
		if len(children) != 1 {
			return false
		}
		child = "/proc/" + children[0]
		status, _ := os.ReadFile(child + "/status")
		return strings.Contains(string(status), "\nSeccomp:\t2\n")
	})
	if score, err := os.ReadFile(child + "/oom_score_adj"); string(score) != "1000\n" {
		t.Errorf("oom_score_adj %q, %v", score, err)
	}
	parent.Process.Kill()
	parent.Wait()
	eventually(t, "the child is gone", func() bool {
		_, err := os.Stat(child)
		return err != nil
	})
	newEngine(t, cfg) // whose end checks that nothing of the child is left
}

func eventually(t *testing.T, what string, happened func() bool) {
	t.Helper()
	limit := patience.For(10 * time.Second)
	for deadline := time.Now().Add(limit); !happened(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

const helperRoot = "ENGINE_TEST_HELPER_ROOT"

// TestHelperParent is the daemon of TestChildDiesWithItsParent.
func TestHelperParent(t *testing.T) {
	root := os.Getenv(helperRoot)
	if root == "" {
		return // not started by a test
	}
	cfg := testConfig(t)
	cfg.Root = root
	loadMisbehaving(t, cfg, "hang")
}

// compileChildren lists the pids of the compilers that parent has started.
func compileChildren(t *testing.T, parent int) (pids []string) {
	t.Helper()
	status, err := filepath.Glob("/proc/[0-9]*/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range status {
		dir := filepath.Dir(path)
		b, _ := os.ReadFile(path) // a process may have ended
		cmdline, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		if strings.Contains(string(b), fmt.Sprintf("\nPPid:\t%d\n", parent)) && strings.HasPrefix(string(cmdline), compileArg0) {
			pids = append(pids, filepath.Base(dir))
		}
	}
	return pids
}
