;; SPDX-License-Identifier: Apache-2.0
;; Calls a socket function with no arguments and for no result: its own would be written past.
;;
;; create: with another signature than the host's
(module
  (import "wasi_snapshot_preview1" "sock_accept" (func $accept))
  (memory (export "memory") 1)
  (func (export "_start") (call $accept)))
