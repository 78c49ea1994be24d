// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// compileArg0 is argv[0] of this program when it is to act as a compiler child.
const compileArg0 = "containerd-wasm-compile"

// A job is what a compiler child is told, as JSON in its only argument. The
// module is on fd moduleFD, the answer goes to fd answerFD, and the code and the
// names of functions to the files outName and namesName in its working directory.
type job struct {
	Engine     string // the parent's version of WasmEdge
	Rules      rules
	Bounds     bounds
	Tier       Tier
	Idle       bool   // give way to everything else on the machine
	Memory     int64  // bytes of private memory beyond what the process has already
	CPUSeconds uint64 // of processor time
	FileSize   int64  // bytes of any file that it writes
	Names      bool   // write the names of functions as well
	User       uint32 // and group, that it ends up as
}

const (
	moduleFD = 3
	answerFD = 4
	outName  = "out.wasm"
	// namesName may be missing.
	namesName = "names"
)

// An answer is one line of JSON, with one of these fields.
type answer struct {
	// Loaded is the record of the code, which is there and was loaded.
	Loaded *header `json:"loaded,omitempty"`
	// Refused says what is wrong with the module, as a phrase that follows its
	// name.
	Refused string `json:"refused,omitempty"`
	// Exceeds says what the module has too much of, as such a phrase.
	Exceeds string `json:"exceeds,omitempty"`
	// Failed says what went wrong that is not the module's fault.
	Failed string `json:"failed,omitempty"`
}

const (
	maxAnswer = 8 << 10 // bytes on the wire
	maxPhrase = 1 << 10 // bytes of each field
)

func (a answer) encode() ([]byte, error) {
	b, err := json.Marshal(a.printable())
	return append(b, '\n'), err
}

// decodeAnswer reads an answer from a child that, for all we know, the module
// has taken over: b is at most one byte more than maxAnswer, and anything but a
// well-formed answer is an error. What it returns may be shown to an operator.
func decodeAnswer(b []byte) (a answer, err error) {
	if len(b) > maxAnswer {
		return a, errors.New("the answer is too long")
	}
	line, rest, found := bytes.Cut(b, []byte("\n"))
	if !found || len(rest) > 0 {
		return a, errors.New("the answer is not one line")
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&a); err != nil {
		return answer{}, fmt.Errorf("the answer is malformed: %w", err)
	}
	if d.More() {
		return answer{}, errors.New("the answer is malformed: there is more than one value")
	}
	if a.Loaded == nil && a.Refused == "" && a.Exceeds == "" && a.Failed == "" {
		return answer{}, errors.New("the answer says nothing")
	}
	return a.printable(), nil
}

func (a answer) printable() answer {
	a.Refused, a.Exceeds, a.Failed = printable(a.Refused), printable(a.Exceeds), printable(a.Failed)
	return a
}

func printable(s string) string { return clean(s, maxPhrase) }

// clean returns at most max bytes of s, with what could garble a log or a terminal
// replaced.
func clean(s string, max int) string {
	s = strings.Map(func(r rune) rune {
		if strconv.IsPrint(r) {
			return r
		}
		return '\ufffd'
	}, s)
	if len(s) > max {
		s = strings.ToValidUTF8(s[:max-len("…")], "") + "…"
	}
	return s
}
