;; SPDX-License-Identifier: Apache-2.0
;; Calls itself without end, in a way that no compiler turns into a loop.
;;
;; exit: 134
;; stderr: call stack exhausted
(module
  (memory (export "memory") 1)
  (func $f (param i32) (result i32)
    (i32.xor (call $f (i32.add (local.get 0) (i32.const 1))) (call $f (i32.mul (local.get 0) (i32.const 3)))))
  (func (export "_start") (drop (call $f (i32.const 0)))))
