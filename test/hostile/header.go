// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// header is what a guest's file says about it.
type header struct {
	about string // what it does, in words

	end          end
	beforeStart  bool   // it gets its signal then
	after        string // or once it has written this
	pause        pause
	stdout       []string
	stderr       []string
	args, env    []string
	memory       int64 // bytes, 0: no limit
	mounts       []volumeMount
	rootReadonly bool
	masked       []string
	protected    []string
	uid, gid     uint32
	noCaps       bool
	network      string // "", "pod" or "host"
	stdinOpen    bool
	outputUnread bool
	alone        string // why, or empty
}

// end is how a guest ends.
type end struct {
	kind   endKind
	text   string      // of the error of create and start
	signal unix.Signal // of kill
	code   int         // of exit and kill
	oom    bool        // of exit
}

type endKind string

const (
	endExit   endKind = "exit"
	endKill   endKind = "kill"
	endCreate endKind = "create"
	endStart  endKind = "start"
)

type pause string

const (
	pauseResume pause = "resume"
	pauseKill   pause = "kill"
)

type volumeMount struct {
	readonly bool
	path     string
}

// parseSource reads the header of a source file whose comments begin with marker.
func parseSource(source []byte, marker string) (*header, error) {
	const licence = "SPDX-License-Identifier: Apache-2.0"
	var lines []string
	for s := bufio.NewScanner(bytes.NewReader(source)); s.Scan(); {
		line, isComment := strings.CutPrefix(s.Text(), marker)
		if !isComment {
			break
		}
		lines = append(lines, strings.TrimPrefix(line, " "))
	}
	if len(lines) == 0 || lines[0] != licence {
		return nil, fmt.Errorf("the first line is not %q", marker+" "+licence)
	}
	return parseHeader(strings.Join(lines[1:], "\n"))
}

// parseHeader reads a header without comment marks and licence.
func parseHeader(text string) (*header, error) {
	text = strings.TrimSpace(text)
	at := strings.LastIndex(text, "\n\n")
	if at < 0 {
		return nil, errors.New("the header has no words before its keys, or no empty line between them")
	}
	h := &header{about: strings.TrimSpace(text[:at])}
	seen := map[string]bool{}
	for line := range strings.SplitSeq(text[at+2:], "\n") {
		name, value, ok := strings.Cut(line, ": ")
		key, known := keys[name]
		switch {
		case !ok || value == "" || value != strings.TrimSpace(value):
			return nil, fmt.Errorf("%q is not \"KEY: VALUE\"", line)
		case !known:
			return nil, fmt.Errorf("unknown key %q; there are %q", name, slices.Sorted(maps.Keys(keys)))
		case seen[name] && !key.many:
			return nil, fmt.Errorf("key %q is there twice", name)
		}
		seen[name] = true
		if err := key.set(h, value); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return h, h.check()
}

// check refuses what is contradictory.
func (h *header) check() error {
	killed := h.end.kind == endKill
	switch {
	case h.end.kind == "":
		return errors.New("the header does not say how the guest ends")
	case h.beforeStart && (!killed || h.after != "" || h.pause != ""):
		return errors.New("only a kill can come before the start, and nothing else then")
	case h.pause == pauseKill && !killed:
		return errors.New("a pause that ends with a kill needs one")
	case h.after != "" && !killed && h.pause == "":
		return errors.New("nothing happens after that output")
	case h.outputUnread && len(h.stdout)+len(h.stderr)+len(h.after) > 0:
		return errors.New("nobody sees the output if it is not read")
	}
	return nil
}
