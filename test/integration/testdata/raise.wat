;; SPDX-License-Identifier: Apache-2.0
;; Asks the host to raise every signal that WASI has; exits with 7 if it is still
;; there afterwards.
(module
  (import "wasi_snapshot_preview1" "proc_raise" (func $raise (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start") (local $signal i32)
    (loop $next
      (drop (call $raise (local.get $signal)))
      (local.set $signal (i32.add (local.get $signal) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $signal) (i32.const 31))))
    (call $exit (i32.const 7))))
