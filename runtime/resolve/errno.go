// SPDX-License-Identifier: Apache-2.0

package resolve

// Errno is why there is no address, in the numbers that WasmEdge adds to those of WASI
// preview 1 (thirdparty/wasi/api.hpp). They stand for getaddrinfo's EAI_*.
type Errno uint16

const (
	ErrAddrFamily Errno = 77 // an address, but of the other family
	ErrAgain      Errno = 78 // no server answers, or they cannot now
	ErrBadFlag    Errno = 79
	ErrFamily     Errno = 81 // no such family
	ErrNoData     Errno = 83 // the name exists, and has no such address
	ErrNoName     Errno = 84 // no such name
	ErrService    Errno = 85 // no such service
	ErrSockType   Errno = 86 // no such kind of socket
)
