// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// IsCompileChild says whether this process was started to compile a module. A
// program that uses this package asks before it does anything else, and then
// calls CompileChildMain.
func IsCompileChild() bool { return os.Args[0] == compileArg0 }

// CompileChildMain compiles the module that the parent passed, and exits.
//
// LLVM sees hostile input here, so the process first gives up what it can: it
// has no environment, no network, no other process in sight, sees no file but
// its own empty directory, is a user of its own, and cannot regain anything. Limits end it
// if its parent does not.
func CompileChildMain() {
	// PR_SET_PDEATHSIG holds for one thread, which has to live.
	runtime.LockOSThread()
	a := childAnswer(os.Args[1:])
	b, err := a.encode()
	if err == nil {
		_, err = os.NewFile(answerFD, "answer").Write(b)
	}
	if err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

func childAnswer(args []string) answer {
	var j job
	if len(args) != 1 {
		return answer{Failed: "the compiler was started with wrong arguments"}
	}
	if err := json.Unmarshal([]byte(args[0]), &j); err != nil {
		return answer{Failed: err.Error()}
	}
	if err := restrict(j); err != nil {
		return answer{Failed: "cannot restrict the compiler: " + err.Error()}
	}
	h, err := compileModule(j)
	var r refusal
	var x excess
	switch {
	case errors.As(err, &r):
		return answer{Refused: r.Error()}
	case errors.As(err, &x):
		return answer{Exceeds: x.Error()}
	case err != nil:
		return answer{Failed: err.Error()}
	}
	return answer{Loaded: h}
}

// restrict gives up the process's rights, and then what system calls it does not
// need.
func restrict(j job) error {
	if err := dropRights(j); err != nil {
		return err
	}
	return loadFilter()
}

// dropRights makes the working directory the root, and changes the user.
// no_new_privs comes from the parent, and is only made sure of.
func dropRights(j job) error {
	parent := os.Getppid()
	if err := setLimits(j); err != nil {
		return err
	}
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"priority", func() error { return giveWay(j.Idle) }},
		{"oom_score_adj", dieFirst},
		{"chroot", func() error { return unix.Chroot(".") }},
		{"chdir", func() error { return unix.Chdir("/") }},
		// Package syscall's functions, unlike unix's, change all threads.
		{"setgroups", func() error { return syscall.Setgroups(nil) }},
		{"setgid", func() error { return syscall.Setgid(int(j.User)) }},
		{"setuid", func() error { return syscall.Setuid(int(j.User)) }},
		// The kernel forgot the parent's setting when the user changed.
		{"pdeathsig", func() error { return unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0) }},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	if v, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err != nil || v != 1 {
		return fmt.Errorf("no_new_privs is %d: %w", v, err)
	}
	if os.Getppid() != parent {
		return errors.New("its parent is gone")
	}
	return nil
}
