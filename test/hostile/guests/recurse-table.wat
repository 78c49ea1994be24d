;; SPDX-License-Identifier: Apache-2.0
;; Two functions call each other through a table without end.
;;
;; exit: 134
;; stderr: call stack exhausted
(module
  (memory (export "memory") 1)
  (type $f (func (param i32) (result i32)))
  (table 2 2 funcref)
  (elem (i32.const 0) $even $odd)
  (func $even (type $f) (i32.add (call_indirect (type $f) (local.get 0) (i32.const 1)) (i32.const 1)))
  (func $odd (type $f) (i32.add (call_indirect (type $f) (local.get 0) (i32.const 0)) (i32.const 1)))
  (func (export "_start") (drop (call_indirect (type $f) (i32.const 0) (i32.const 0)))))
