// SPDX-License-Identifier: Apache-2.0

package jail

import (
	"bytes"
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

// What a peer answers, by ICMP for example, is an error for the guest and not its end, also
// if WASI has no number for it.
func TestErrorsThatWASILacks(t *testing.T) {
	for _, errno := range []unix.Errno{unix.EHOSTDOWN, unix.ENONET, unix.EUCLEAN, unix.ECONNREFUSED} {
		s := spec(t, "socket")
		s.Args = append(s.Args, "connect")
		s.Seccomp = answers(t, unix.SYS_CONNECT, errno)
		if r := runGuest(t, s); r.Ending != Exited || r.Code != 4 {
			t.Errorf("%v: ended with %+v", errno, r)
		}
		// That the same comes of a call which opens a file.
		s = spec(t, "search")
		s.Seccomp = answers(t, unix.SYS_OPENAT, errno)
		if r := runGuest(t, s); r.Ending != Exited || r.Code != 1 {
			t.Errorf("%v: ended with %+v", errno, r)
		}
	}
}

// answers is a filter with which a call fails.
func answers(t *testing.T, call uint32, errno unix.Errno) []byte {
	t.Helper()
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // the call's number
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: call},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(errno)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	var b bytes.Buffer
	if err := binary.Write(&b, binary.NativeEndian, filter); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
