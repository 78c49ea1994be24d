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
)

// A daemon that is killed takes its compilers along.
func TestChildDiesWithItsParent(t *testing.T) {
	cfg := testConfig(t)
	parent := exec.Command("/proc/self/exe", "-test.run=^TestHelperParent$", "-test.root")
	parent.Env = append(os.Environ(), helperRoot+"="+cfg.Root, "TMPDIR="+t.TempDir())
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var child []string
	for deadline := time.Now().Add(10 * time.Second); len(child) == 0 && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		child = compileChildren(t, parent.Process.Pid)
	}
	if len(child) != 1 {
		t.Errorf("%d children, want 1", len(child))
	}
	time.Sleep(200 * time.Millisecond) // so that it has changed its user
	parent.Process.Kill()
	parent.Wait()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		gone := true
		for _, pid := range child {
			_, err := os.Stat("/proc/" + pid)
			gone = gone && err != nil
		}
		if gone {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the child is still there")
		}
	}
	newEngine(t, cfg) // whose end checks that nothing of the child is left
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
