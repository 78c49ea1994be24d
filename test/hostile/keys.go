// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/go-units"
	"golang.org/x/sys/unix"
)

// key is how the value of a key gets into a header.
type key struct {
	many bool
	set  func(h *header, value string) error
}

var keys = map[string]key{
	"exit":   {false, setExit},
	"kill":   {false, setKill},
	"create": {false, func(h *header, v string) error { return h.setEnd(end{kind: endCreate, text: v}) }},
	"start":  {false, func(h *header, v string) error { return h.setEnd(end{kind: endStart, text: v}) }},
	"before": {false, func(h *header, v string) error {
		h.beforeStart = true
		return oneOf(v, "start")
	}},
	"after": {false, func(h *header, v string) error { h.after = v; return nil }},
	"pause": {false, func(h *header, v string) error {
		h.pause = pause(v)
		return oneOf(v, string(pauseResume), string(pauseKill))
	}},
	"stdout":       {true, func(h *header, v string) error { h.stdout = append(h.stdout, v); return nil }},
	"stderr":       {true, func(h *header, v string) error { h.stderr = append(h.stderr, v); return nil }},
	"args":         {false, setArgs},
	"env":          {true, setEnv},
	"memory":       {false, setMemory},
	"mount":        {true, setMount},
	"root":         {false, func(h *header, v string) error { h.rootReadonly = true; return oneOf(v, "ro") }},
	"mask":         {true, func(h *header, v string) error { h.masked = append(h.masked, v); return checkPath(v) }},
	"protect":      {true, func(h *header, v string) error { h.protected = append(h.protected, v); return checkPath(v) }},
	"user":         {false, setUser},
	"capabilities": {false, func(h *header, v string) error { h.noCaps = true; return oneOf(v, "none") }},
	"network":      {false, func(h *header, v string) error { h.network = v; return oneOf(v, "pod", "host") }},
	"stdin":        {false, func(h *header, v string) error { h.stdinOpen = true; return oneOf(v, "open") }},
	"output":       {false, func(h *header, v string) error { h.outputUnread = true; return oneOf(v, "unread") }},
	"alone":        {false, func(h *header, v string) error { h.alone = v; return nil }},
}

func oneOf(v string, known ...string) error {
	if !slices.Contains(known, v) {
		return fmt.Errorf("%q is none of %q", v, known)
	}
	return nil
}

func checkPath(v string) error {
	if !strings.HasPrefix(v, "/") || v == "/" {
		return fmt.Errorf("%q is not an absolute path below /", v)
	}
	return nil
}

func (h *header) setEnd(e end) error {
	if h.end.kind != "" {
		return fmt.Errorf("the guest ends by %q already", h.end.kind)
	}
	h.end = e
	return nil
}

func exitCode(v string) (int, error) {
	code, err := strconv.ParseUint(v, 10, 8)
	if err != nil {
		return 0, fmt.Errorf("%q is no exit code", v)
	}
	return int(code), nil
}

func setExit(h *header, v string) error {
	v, oom := strings.CutSuffix(v, " oom")
	code, err := exitCode(v)
	if err != nil {
		return err
	}
	if oom && code != 137 {
		return errors.New("a guest that dies of its memory limit exits with 137")
	}
	return h.setEnd(end{kind: endExit, code: code, oom: oom})
}

func setKill(h *header, v string) error {
	name, code, ok := strings.Cut(v, " -> ")
	signal := unix.SignalNum(name)
	if !ok || signal == 0 {
		return fmt.Errorf("%q is not \"SIGNAL -> CODE\"", v)
	}
	n, err := exitCode(code)
	if err != nil {
		return err
	}
	return h.setEnd(end{kind: endKill, signal: signal, code: n})
}

// repeated returns the words of "N of SIZE", or nil if v is something else.
func repeated(v, prefix string) ([]string, error) {
	n, size, ok := strings.Cut(v, " of ")
	if !ok {
		return nil, nil
	}
	const most = 64 << 20
	count, err := strconv.ParseUint(n, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("%q is no number", n)
	}
	length, err := strconv.ParseUint(size, 10, 32)
	if err != nil || length < uint64(len(prefix)) {
		return nil, fmt.Errorf("%q is no size", size)
	}
	if count == 0 || (length+1)*count > most {
		return nil, fmt.Errorf("that is nothing, or more than %d bytes", most)
	}
	return slices.Repeat([]string{prefix + strings.Repeat("x", int(length)-len(prefix))}, int(count)), nil
}

func setArgs(h *header, v string) error {
	words, err := repeated(v, "")
	if words == nil && err == nil {
		words = strings.Fields(v)
	}
	h.args = words
	return err
}

func setEnv(h *header, v string) error {
	words, err := repeated(v, "X=")
	if words == nil && err == nil {
		if name, _, ok := strings.Cut(v, "="); !ok || name == "" {
			return fmt.Errorf("%q is not NAME=VALUE", v)
		}
		words = []string{v}
	}
	h.env = append(h.env, words...)
	return err
}

func setMemory(h *header, v string) (err error) {
	if h.memory, err = units.RAMInBytes(v); err == nil && h.memory <= 0 {
		err = fmt.Errorf("%q is no limit", v)
	}
	return err
}

func setMount(h *header, v string) error {
	mode, path, _ := strings.Cut(v, " ")
	h.mounts = append(h.mounts, volumeMount{readonly: mode == "ro", path: path})
	if err := oneOf(mode, "ro", "rw"); err != nil {
		return err
	}
	return checkPath(path)
}

func setUser(h *header, v string) error {
	uid, gid, _ := strings.Cut(v, ":")
	for _, id := range []struct {
		text string
		to   *uint32
	}{{uid, &h.uid}, {gid, &h.gid}} {
		n, err := strconv.ParseUint(id.text, 10, 31)
		if err != nil {
			return fmt.Errorf("%q is not UID:GID", v)
		}
		*id.to = uint32(n)
	}
	return nil
}
