// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"golang.org/x/sys/unix"
)

// keyboard is what a client types on a guest's terminal. The line discipline does
// with it what it always does, but for signals: it sends those to the terminal's
// process group, and a guest is in none.
type keyboard struct {
	terminal *terminal
	signal   func(uint32)
	quoted   bool // the next key means itself
	midLine  bool // keys since the last line
}

// Write passes keys on. What ends the guest does so though the terminal may be
// full.
func (k *keyboard) Write(keys []byte) (int, error) {
	settings, err := k.settings()
	if err != nil {
		return 0, err
	}
	if signal := k.look(keys, settings); signal != 0 {
		k.signal(signal)
	}
	return k.terminal.master.Write(keys)
}

func (k *keyboard) settings() (settings *unix.Termios, err error) {
	err = k.terminal.control(func(fd int) error {
		settings, err = unix.IoctlGetTermios(fd, unix.TCGETS) // of both ends
		return err
	})
	return settings, err
}

// look returns the signal that keys send, or 0 (termios(3): ISIG, IEXTEN).
func (k *keyboard) look(keys []byte, settings *unix.Termios) (signal uint32) {
	is := func(key byte, flag uint32, special int) bool {
		return settings.Lflag&flag != 0 && key == settings.Cc[special] && key != 0 && !k.quoted
	}
	for _, key := range keys {
		switch {
		case is(key, unix.ISIG, unix.VINTR):
			signal = uint32(unix.SIGINT)
		case is(key, unix.ISIG, unix.VQUIT):
			signal = uint32(unix.SIGQUIT)
		}
		k.midLine = key != '\n' && key != '\r' && !is(key, unix.ICANON, unix.VEOF)
		k.quoted = is(key, unix.IEXTEN, unix.VLNEXT)
	}
	return signal
}

// Close is the end of input. On a terminal that is a key as well: for the guest
// may still write. Typed in a line, it only ends that.
func (k *keyboard) Close() error {
	settings, err := k.settings()
	if err != nil {
		return err
	}
	keys := []byte{settings.Cc[unix.VEOF]}
	if k.midLine {
		keys = append(keys, keys[0])
	}
	_, err = k.terminal.master.Write(keys)
	return err
}
