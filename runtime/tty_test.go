// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

func TestKeysThatSendSignals(t *testing.T) {
	settings := &unix.Termios{Lflag: unix.ISIG | unix.ICANON | unix.IEXTEN}
	settings.Cc[unix.VINTR], settings.Cc[unix.VQUIT], settings.Cc[unix.VEOF], settings.Cc[unix.VLNEXT] = 3, 28, 4, 22
	raw := *settings
	raw.Lflag = 0
	none := *settings
	none.Cc[unix.VINTR] = 0 // _POSIX_VDISABLE
	for _, tc := range []struct {
		desc     string
		keys     []string // in one Write each
		settings *unix.Termios
		want     unix.Signal
		midLine  bool
	}{
		{"text", []string{"text\n"}, settings, 0, false},
		{"a line without an end", []string{"tex", "t"}, settings, 0, true},
		{"interrupt", []string{"a\x03b"}, settings, unix.SIGINT, true},
		{"quit", []string{"\x1c\r"}, settings, unix.SIGQUIT, false},
		{"end of input", []string{"text\x04"}, settings, 0, false},
		{"quoted", []string{"\x16\x03"}, settings, 0, true},
		{"quoted by the write before", []string{"\x16", "\x03"}, settings, 0, true},
		{"a quoted quote", []string{"\x16\x16\x03"}, settings, unix.SIGINT, true},
		{"raw", []string{"\x03\x1c"}, &raw, 0, true},
		{"no such key", []string{"\x00\x03"}, &none, 0, true},
	} {
		k := &keyboard{}
		var got uint32
		for _, keys := range tc.keys {
			got = k.look([]byte(keys), tc.settings)
		}
		if got != uint32(tc.want) || k.midLine != tc.midLine {
			t.Errorf("%s: signal %d, in a line: %v", tc.desc, got, k.midLine)
		}
	}
}

// FuzzKeys: what keys mean does not depend on how a client's writes cut them up.
func FuzzKeys(f *testing.F) {
	f.Add([]byte("text\x03\x16\x03\r"), uint8(5), uint32(unix.ISIG|unix.ICANON|unix.IEXTEN), []byte{3, 28, 4, 22})
	f.Add([]byte("\x16\x16\x1c\x04"), uint8(1), uint32(unix.ISIG|unix.IEXTEN), []byte{3, 28, 4, 22})
	f.Add([]byte{0, 0}, uint8(1), uint32(unix.ISIG), []byte{0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, keys []byte, at uint8, flags uint32, special []byte) {
		settings := &unix.Termios{Lflag: flags}
		for i, c := range []int{unix.VINTR, unix.VQUIT, unix.VEOF, unix.VLNEXT} {
			if i < len(special) {
				settings.Cc[c] = special[i]
			}
		}
		var once, twice keyboard
		signal := once.look(keys, settings)
		cut := min(int(at), len(keys))
		first, second := twice.look(keys[:cut], settings), twice.look(keys[cut:], settings)
		if second == 0 {
			second = first
		}
		if signal != second || once.quoted != twice.quoted || cut < len(keys) && once.midLine != twice.midLine {
			t.Errorf("at once signal %d and %+v, cut after %d signal %d and %+v", signal, once, cut, second, twice)
		}
		switch signal {
		case 0:
		case uint32(unix.SIGINT), uint32(unix.SIGQUIT):
			if flags&unix.ISIG == 0 {
				t.Errorf("signal %d without ISIG", signal)
			}
		default:
			t.Errorf("signal %d", signal)
		}
	})
}

// newTerminal has a FIFO as its output, which is open for reading.
func newTerminal(t *testing.T) (term *terminal, slave, out *os.File) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "out")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { out.Close() })
	if term, slave, err = openTerminal(path); err != nil {
		t.Fatal(err)
	}
	return term, slave, out
}

func TestTerminal(t *testing.T) {
	term, slave, out := newTerminal(t)
	term.begin()
	var signals []uint32
	k := &keyboard{terminal: term, signal: func(s uint32) { signals = append(signals, s) }}
	if _, err := k.Write([]byte("in\r")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	if n, err := slave.Read(buf); string(buf[:n]) != "in\n" || err != nil {
		t.Errorf("read %q, %v", buf[:n], err)
	}
	if err := term.resize(132, 43); err != nil {
		t.Error(err)
	}
	if size, err := unix.IoctlGetWinsize(int(slave.Fd()), unix.TIOCGWINSZ); err != nil || size.Col != 132 || size.Row != 43 {
		t.Errorf("size %+v, %v", size, err)
	}
	if _, err := k.Write([]byte("\x03")); err != nil || len(signals) != 1 {
		t.Errorf("signals %v, %v", signals, err)
	}
	// The end of input, in a line and after it.
	if _, err := k.Write([]byte("more")); err != nil {
		t.Fatal(err)
	}
	if err := k.Close(); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"more", ""} {
		if n, err := slave.Read(buf); string(buf[:n]) != want || want == "" && !errors.Is(err, io.EOF) {
			t.Errorf("read %q, %v, want %q", buf[:n], err, want)
		}
	}
	if _, err := slave.WriteString("out\n"); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	term.end()
	if err := term.wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	n, err := out.Read(buf)
	if want := "in\r\n^Cmore^D^D\b\bout\r\n"; err != nil || !bytes.HasSuffix(buf[:n], []byte("out\r\n")) || !bytes.HasPrefix(buf[:n], []byte("in\r\n")) {
		t.Errorf("output %q, %v, want about %q", buf[:n], err, want)
	}
	if err := term.resize(1, 1); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("resizing what is gone: %v", err)
	}
	if _, err := k.Write([]byte("late")); err == nil {
		t.Error("typed on what is gone")
	}
}

// What nobody reads is given up, some time after the guest's end.
func TestTerminalOutputIsGivenUp(t *testing.T) {
	term, slave, _ := newTerminal(t)
	term.begin()
	if err := unix.SetNonblock(int(slave.Fd()), true); err != nil {
		t.Fatal(err)
	}
	for full := 0; full < 5; { // FIFO, copier and terminal
		if _, err := unix.Write(int(slave.Fd()), make([]byte, 4096)); err != nil {
			full++
			time.Sleep(10 * time.Millisecond)
		} else {
			full = 0
		}
	}
	slave.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := term.wait(ctx); err == nil {
		t.Fatal("the output went nowhere")
	}
	term.end()
	if err := term.wait(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestTerminalErrors(t *testing.T) {
	if _, _, err := openTerminal(filepath.Join(t.TempDir(), "none")); !errdefs.IsNotFound(err) {
		t.Errorf("no FIFO: %v", err)
	}
	if _, _, err := openTerminal("binary:///bin/logger"); !errdefs.IsNotImplemented(err) {
		t.Errorf("a logger: %v", err)
	}
	term, slave, _ := newTerminal(t)
	if err := term.resize(1<<32, 1); !errdefs.IsInvalidArgument(err) {
		t.Errorf("too wide: %v", err)
	}
	s := &stdio{terminal: term, lent: slave}
	s.abandon()
	if err := term.control(func(int) error { return nil }); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("abandoned: %v", err)
	}
}
