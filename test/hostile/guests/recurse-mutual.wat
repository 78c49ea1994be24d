;; SPDX-License-Identifier: Apache-2.0
;; Three functions call each other without end.
;;
;; exit: 134
;; stderr: call stack exhausted
(module
  (memory (export "memory") 1)
  (func $a (param i64) (result i64) (i64.add (call $b (local.get 0)) (i64.const 1)))
  (func $b (param i64) (result i64) (i64.mul (call $c (local.get 0)) (i64.const 3)))
  (func $c (param i64) (result i64) (i64.sub (call $a (local.get 0)) (i64.const 5)))
  (func (export "_start") (drop (call $a (i64.const 0)))))
