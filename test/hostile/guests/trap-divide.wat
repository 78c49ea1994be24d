;; SPDX-License-Identifier: Apache-2.0
;; Divides by zero.
;;
;; exit: 134
;; stderr: WebAssembly trap: integer divide by zero
(module
  (memory (export "memory") 1)
  (func (export "_start") (drop (i64.div_s (i64.const 1) (i64.load (i32.const 0))))))
