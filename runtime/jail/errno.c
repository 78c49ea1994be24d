// SPDX-License-Identifier: Apache-2.0

// WASI has fewer error numbers than Linux. Over another one WasmEdge 0.14 ends the guest
// (assumingUnreachable in lib/host/wasi/linux.h), and others can cause some: whoever answers
// on the network with ICMP, the server of a volume.

#include "internal.h"

#include <errno.h>

int jail_wasi_errno(int err)
{
	// Those that fromErrNo knows there, as package seccomp does.
	static const int known[] = {0, E2BIG, EACCES, EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT,
		EAGAIN, EALREADY, EBADF, EBADMSG, EBUSY, ECANCELED, ECHILD, ECONNABORTED,
		ECONNREFUSED, ECONNRESET, EDEADLK, EDESTADDRREQ, EDOM, EDQUOT, EEXIST, EFAULT,
		EFBIG, EHOSTUNREACH, EIDRM, EILSEQ, EINPROGRESS, EINTR, EINVAL, EIO, EISCONN,
		EISDIR, ELOOP, EMFILE, EMLINK, EMSGSIZE, EMULTIHOP, ENAMETOOLONG, ENETDOWN,
		ENETRESET, ENETUNREACH, ENFILE, ENOBUFS, ENODEV, ENOENT, ENOEXEC, ENOLCK, ENOLINK,
		ENOMEM, ENOMSG, ENOPROTOOPT, ENOSPC, ENOSYS, ENOTCONN, ENOTDIR, ENOTEMPTY,
		ENOTRECOVERABLE, ENOTSOCK, ENOTSUP, ENOTTY, ENXIO, EOVERFLOW, EOWNERDEAD, EPERM,
		EPIPE, EPROTO, EPROTONOSUPPORT, EPROTOTYPE, ERANGE, EROFS, ESPIPE, ESRCH, ESTALE,
		ETIMEDOUT, ETXTBSY, EXDEV};
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (err == known[i])
			return err;
	return err == EHOSTDOWN || err == ENONET ? EHOSTUNREACH : EIO;
}
