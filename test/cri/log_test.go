// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
)

// entry is a line of a container's log, as kubelet reads it: time, stream, tag and text.
type entry struct {
	stream, tag, text string // of tags, F ends a line, and P does not
}

// entries parses a log. The times of a stream do not go back.
func entries(t testing.TB, log string) (all []entry) {
	t.Helper()
	last := map[string]time.Time{}
	for line := range strings.Lines(log) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 4)
		if len(f) != 4 || f[1] != "stdout" && f[1] != "stderr" || f[2] != "F" && f[2] != "P" {
			t.Fatalf("not a line of a CRI log: %q", line)
		}
		at, err := time.Parse(time.RFC3339Nano, f[0])
		if err != nil {
			t.Error(err)
		}
		if at.Before(last[f[1]]) {
			t.Errorf("%v comes after %v", at, last[f[1]])
		}
		last[f[1]] = at
		all = append(all, entry{f[1], f[2], f[3]})
	}
	return all
}

// streamOf is what was written to one stream.
func streamOf(all []entry, stream string) string {
	var text strings.Builder
	for _, e := range all {
		if e.stream != stream {
			continue
		}
		text.WriteString(e.text)
		if e.tag == "F" {
			text.WriteByte('\n')
		}
	}
	return text.String()
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// logs is what the container's log has of one stream.
func (c *container) logs(t testing.TB, stream string) string {
	t.Helper()
	return streamOf(entries(t, readFile(t, c.log)), stream)
}

// waitForTheLog waits until the log of a container that has ended is whole: CRI writes
// the last lines after it has said so.
func (c *container) waitForTheLog(t testing.TB) {
	t.Helper()
	c.waitUntilClosed(t, c.log)
}

func (c *container) waitUntilClosed(t testing.TB, path string) {
	t.Helper()
	daemon.Eventually(t, "CRI to close "+path, func() error {
		if c.d.HasOpen(path) {
			return errors.New("it is open")
		}
		return nil
	})
}

// wholeLog is logs of a container that has ended.
func (c *container) wholeLog(t testing.TB, stream string) string {
	t.Helper()
	c.waitForTheLog(t)
	return c.logs(t, stream)
}
