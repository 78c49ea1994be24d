;; SPDX-License-Identifier: Apache-2.0
;; Calls a function through a table with more arguments than it has.
;;
;; exit: 134
;; stderr: WebAssembly trap: indirect call type mismatch
(module
  (memory (export "memory") 1)
  (type $wrong (func (param i64 i64 i64 i64 i64 i64 i64 i64)))
  (table 1 1 funcref)
  (elem (i32.const 0) $f)
  (func $f)
  (func (export "_start")
    (call_indirect (type $wrong) (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4)
      (i64.const 5) (i64.const 6) (i64.const 7) (i64.const 8) (i32.const 0))))
