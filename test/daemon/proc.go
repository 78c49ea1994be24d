// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Process is a process that belongs to a daemon.
type Process struct {
	PID, Parent int
	Command     string
}

func (p Process) String() string { return fmt.Sprintf("%d (%s)", p.PID, p.Command) }

// Processes finds all processes that the daemon started and that those started,
// wherever they are now: by ancestry, by the marker in their environment, by the
// daemon's directory in their arguments or as theirs, and by their cgroup. The
// daemon is among them.
func (d *Daemon) Processes() []Process {
	var own, others []Process
	ours := map[int]bool{}
	for _, p := range allProcesses() {
		if d.owns(p.PID) {
			own, ours[p.PID] = append(own, p), true
		} else {
			others = append(others, p)
		}
	}
	// A child may come before its parent.
	for found := true; found; {
		found = false
		for _, p := range others {
			if ours[p.Parent] && !ours[p.PID] {
				own, ours[p.PID], found = append(own, p), true, true
			}
		}
	}
	return own
}

func allProcesses() []Process {
	paths, _ := filepath.Glob("/proc/[0-9]*") // the pattern is well-formed
	var all []Process
	for _, path := range paths {
		stat, err := os.ReadFile(path + "/stat")
		if err != nil {
			continue // it has ended
		}
		// PID (COMMAND) STATE PPID ...; the command may have any character.
		end := bytes.LastIndexByte(stat, ')')
		fields := bytes.Fields(stat[end+1:])
		if string(fields[0]) == "Z" || string(fields[0]) == "X" {
			continue // over; its parent has yet to notice
		}
		pid, _ := strconv.Atoi(filepath.Base(path))
		parent, _ := strconv.Atoi(string(fields[1]))
		command, _ := os.ReadFile(path + "/cmdline")
		command = bytes.ReplaceAll(bytes.TrimRight(command, "\x00"), []byte{0}, []byte(" "))
		if len(command) == 0 {
			command = stat[bytes.IndexByte(stat, '(')+1 : end]
		}
		all = append(all, Process{PID: pid, Parent: parent, Command: string(command)})
	}
	return all
}

func (d *Daemon) owns(pid int) bool {
	dir := fmt.Sprintf("/proc/%d/", pid)
	// What cannot be read belongs to a process that has ended.
	environ, _ := os.ReadFile(dir + "environ")
	cmdline, _ := os.ReadFile(dir + "cmdline")
	cgroup, _ := os.ReadFile(dir + "cgroup")
	cwd, _ := os.Readlink(dir + "cwd")
	root, _ := os.Readlink(dir + "root")
	exe, _ := os.Readlink(dir + "exe")
	if filepath.Base(exe) == "ctr" {
		return false // a test's own
	}
	return strings.Contains("\x00"+string(environ), "\x00"+marker+d.Name+"\x00") ||
		strings.Contains(string(cmdline), d.Dir+"/") ||
		strings.Contains(string(cgroup), "/"+d.Name) ||
		strings.HasPrefix(cwd, d.Dir+"/") || strings.HasPrefix(root, d.Dir+"/")
}

// Children are the processes whose parent is the daemon.
func (d *Daemon) Children() []Process {
	pid := d.PID()
	var out []Process
	for _, p := range d.Processes() {
		if p.Parent == pid {
			out = append(out, p)
		}
	}
	return out
}

// jailedThreads are the daemon's threads with a seccomp filter: guests, parked
// threads, and what makes them, but not those that wait for a guest: their number
// changes. Go's own threads have none, and stay for ever once they were needed.
func jailedThreads(pid int) []string {
	paths, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	var out []string
	for _, path := range paths {
		status, err := os.ReadFile(path)
		if err == nil && bytes.Contains(status, []byte("\nSeccomp:\t2\n")) && !bytes.HasPrefix(status, []byte("Name:\twasm-spare\n")) {
			out = append(out, path)
		}
	}
	return out
}

// openFiles are the targets of the daemon's file descriptors without inode numbers.
// Sockets are left out: the tests' own connections come and go.
func openFiles(pid int) []string {
	paths, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	var out []string
	for _, path := range paths {
		target, err := os.Readlink(path)
		if err != nil {
			continue // closed
		}
		kind, _, special := strings.Cut(target, ":")
		switch {
		case kind == "socket":
		case special && !strings.HasPrefix(target, "/"):
			out = append(out, strings.SplitN(target, "[", 2)[0]+kindOfAnonymous(target))
		default:
			out = append(out, target)
		}
	}
	return out
}

// HasOpen says whether the daemon has the file at path open.
func (d *Daemon) HasOpen(path string) bool { return slices.Contains(openFiles(d.PID()), path) }

// kindOfAnonymous keeps the name in anon_inode:[eventpoll].
func kindOfAnonymous(target string) string {
	if name, ok := strings.CutPrefix(target, "anon_inode:"); ok {
		return name
	}
	return ""
}

// UIDs is what the kernel says of the user ids of a guest's thread (proc_pid_status(5)),
// with single spaces: the real and the saved one are nobody's (runtime/jail/isolate.c).
func UIDs(effective string) string {
	const nobodys = "4294967293"
	return strings.Join([]string{nobodys, effective, nobodys, effective}, " ")
}
