;; SPDX-License-Identifier: Apache-2.0
;; Calls the host through a table: it ends with 42 if that works as a direct call does.
;;
;; exit: 42
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (type $f (func (param i32)))
  (table 1 1 funcref)
  (elem (i32.const 0) $exit)
  (func (export "_start") (call_indirect (type $f) (i32.const 42) (i32.const 0))))
