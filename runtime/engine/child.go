// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
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
// its own empty directory, is nobody, and cannot regain anything. Limits end it
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

// refusal is an error in the module; its text follows the module's name.
type refusal struct{ error }

func childAnswer(args []string) answer {
	var j job
	if len(args) != 1 {
		return answer{Failed: "the compiler was started with wrong arguments"}
	}
	if err := json.Unmarshal([]byte(args[0]), &j); err != nil {
		return answer{Failed: err.Error()}
	}
	err := restrict(j)
	if err == nil {
		err = compileModule(j.Rules)
	}
	var r refusal
	switch {
	case errors.As(err, &r):
		return answer{Refused: r.Error()}
	case err != nil:
		return answer{Failed: err.Error()}
	}
	return answer{}
}

// restrict gives up the process's rights. The working directory becomes the
// root. no_new_privs comes from the parent, and is only made sure of.
func restrict(j job) error {
	parent := os.Getppid()
	if err := setLimits(j); err != nil {
		return err
	}
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"chroot", func() error { return unix.Chroot(".") }},
		{"chdir", func() error { return unix.Chdir("/") }},
		// Package syscall's functions, unlike unix's, change all threads.
		{"setgroups", func() error { return syscall.Setgroups(nil) }},
		{"setgid", func() error { return syscall.Setgid(nobody) }},
		{"setuid", func() error { return syscall.Setuid(nobody) }},
		// The kernel forgot the parent's setting when the user changed.
		{"pdeathsig", func() error { return unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0) }},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("cannot restrict the compiler: %s: %w", step.name, err)
		}
	}
	if v, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err != nil || v != 1 {
		return fmt.Errorf("cannot restrict the compiler: no_new_privs is %d: %w", v, err)
	}
	if os.Getppid() != parent {
		return errors.New("cannot restrict the compiler: its parent is gone")
	}
	return nil
}

// setLimits sets resource limits. Those on memory count from what the process
// has now, so that the same number means the same to the compiler whatever the
// program around it maps at its start.
func setLimits(j job) error {
	size, data, err := memoryUse()
	if err != nil {
		return err
	}
	// Address space is also taken by reservations: thread stacks, malloc's
	// arenas of 64 MiB per thread, Go's heap. Only memory that can be written
	// and is private counts as data.
	const reservations = 2 << 30
	for resource, limit := range map[int]uint64{
		unix.RLIMIT_AS:     size + uint64(j.Memory) + reservations,
		unix.RLIMIT_DATA:   data + uint64(j.Memory),
		unix.RLIMIT_CPU:    j.CPUSeconds,
		unix.RLIMIT_FSIZE:  uint64(j.FileSize),
		unix.RLIMIT_NOFILE: 64,
		unix.RLIMIT_CORE:   0,
	} {
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
			return fmt.Errorf("cannot restrict the compiler: limit %d: %w", resource, err)
		}
	}
	return nil
}

// memoryUse returns the process's address space and data, in bytes, as
// RLIMIT_AS and RLIMIT_DATA count them.
func memoryUse() (size, data uint64, err error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(status)) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			continue
		}
		switch fields[0] {
		case "VmSize:":
			size, err = strconv.ParseUint(fields[1], 10, 54)
		case "VmData:":
			data, err = strconv.ParseUint(fields[1], 10, 54)
		}
		if err != nil {
			return 0, 0, err
		}
	}
	if size == 0 || data == 0 {
		return 0, 0, errors.New("/proc/self/status does not tell the memory in use")
	}
	return size << 10, data << 10, nil
}
