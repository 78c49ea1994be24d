// SPDX-License-Identifier: Apache-2.0

package jail

import (
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// as runs a command of the shell's as a user without capabilities, elsewhere on the node.
func as(t *testing.T, uid uint32, command string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", command)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	if uid == 0 {
		cmd.SysProcAttr = nil
		cmd.Args = []string{"setpriv", "--bounding-set=-all", "--inh-caps=-all", "sh", "-c", command}
		cmd.Path, cmd.Err = exec.LookPath("setpriv")
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// To signal a thread, or to change its limits, is to do so to its process.
func TestWhoIsAGuestsUserDoesNotReachTheDaemon(t *testing.T) {
	const user = 1000
	s := spec(t, "spin")
	s.UID, s.GID, s.Groups, s.Caps = user, user, nil, 0
	tid := create(t, s).TID()
	for _, command := range []string{
		"kill -0 %d", "prlimit --pid %d --nofile", "cat /proc/%d/environ", ": <>/proc/%d/mem",
	} {
		command = fmt.Sprintf(command, tid)
		out, err := as(t, user, command)
		if err == nil || !strings.Contains(strings.ToLower(out), "permission denied") && !strings.Contains(out, "not permitted") {
			t.Errorf("%s: %v, %s", command, err, out)
		}
	}
}

// When a thread's effective user changes, the kernel makes its whole process as dumpable
// as fs.suid_dumpable says (commit_creds): with 1, who is that user could read the
// daemon's memory.
func TestProcessStaysUndumpable(t *testing.T) {
	s := spec(t, "spin")
	s.UID, s.GID, s.Groups, s.Caps = 1000, 1000, nil, 0
	for what, thread := range map[string]func(){
		"a guest that waits": func() { create(t, s) },
		"a guest that runs":  func() { started(t, s) },
		"a parked thread":    func() { create(t, &Spec{UID: 1000, GID: 1000}) },
	} {
		thread()
		if dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err != nil || dumpable != 0 {
			t.Errorf("after %s was made, PR_GET_DUMPABLE is %d, %v", what, dumpable, err)
		}
	}
}

// Who is root, but has no more capabilities than the guest, may do nothing to its memory.
func TestGuestOfRootIsNotTraced(t *testing.T) {
	s := spec(t, "spin")
	s.UID, s.GID, s.Caps = 0, 0, 0
	for _, command := range []string{"cat /proc/%d/environ", ": <>/proc/%d/mem", "kill -0 %d"} {
		command = fmt.Sprintf(command, create(t, s).TID())
		if out, err := as(t, 0, command); err == nil || !strings.Contains(out, "Permission denied") && !strings.Contains(out, "not permitted") {
			t.Errorf("%s: %v, %s", command, err, out)
		}
	}
}
