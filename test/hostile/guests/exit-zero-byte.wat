;; SPDX-License-Identifier: Apache-2.0
;; Exits with a code whose low byte is 0.
;;
;; exit: 0
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start") (call $exit (i32.const 0x7fffff00)) (unreachable)))
