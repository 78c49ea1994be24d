;; SPDX-License-Identifier: Apache-2.0
;; Raises every signal that WASI has, and numbers that are none. It is still there: it exits with 7.
;;
;; exit: 7
(module
  (import "wasi_snapshot_preview1" "proc_raise" (func $raise (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start") (local $signal i32)
    (local.set $signal (i32.const -300))
    (loop $next
      (drop (call $raise (local.get $signal)))
      (local.set $signal (i32.add (local.get $signal) (i32.const 1)))
      (br_if $next (i32.lt_s (local.get $signal) (i32.const 300))))
    (call $exit (i32.const 7))))
