;; SPDX-License-Identifier: Apache-2.0
;; Calls the host with addresses, and has no memory.
;;
;; exit: 21
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (func (export "_start")
    (if (i32.ne (call $args (i32.const 0) (i32.const 0)) (i32.const 21)) (then (unreachable)))
    (call $exit (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 0)))))
