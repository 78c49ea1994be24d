;; SPDX-License-Identifier: Apache-2.0
;; Imports a socket function whose two versions are alike, with a result of another type.
;;
;; create: with another signature than the host's
(module
  (import "wasi_snapshot_preview1" "sock_open" (func $open (param i32 i32 i32) (result i64)))
  (memory (export "memory") 1)
  (func (export "_start") (drop (call $open (i32.const 1) (i32.const 2) (i32.const 8)))))
