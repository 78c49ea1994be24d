;; SPDX-License-Identifier: Apache-2.0
;; Looks up a name, with addresses in its arguments that are not in its memory: error 21.
;;
;; exit: 0
(module
  (import "wasi_snapshot_preview1" "sock_getaddrinfo"
    (func $lookup (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (if (i32.ne (call $lookup (i32.const -1) (i32.const -1) (i32.const -1) (i32.const -1)
                  (i32.const -1) (i32.const -1) (i32.const -1) (i32.const -1))
          (i32.const 21))
      (then (unreachable)))))
