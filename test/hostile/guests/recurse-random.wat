;; SPDX-License-Identifier: Apache-2.0
;; Calls itself without end, each time with a host call that needs much stack.
;;
;; exit: 134
;; stderr: call stack exhausted
(module
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_pread" (func $pread (param i32 i32 i32 i64 i32) (result i32)))
  (memory (export "memory") 1)
  (func $f (param i32) (result i32)
    (drop (call $random (i32.const 64) (i32.const 8)))
    (drop (call $pread (i32.const 0) (i32.const 0) (i32.const 1024) (i64.const 0) (i32.const 8)))
    (i32.xor (call $f (i32.add (local.get 0) (i32.const 1))) (call $f (i32.mul (local.get 0) (i32.const 3)))))
  (func (export "_start") (drop (call $f (i32.const 0)))))
