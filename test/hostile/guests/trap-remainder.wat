;; SPDX-License-Identifier: Apache-2.0
;; Takes a remainder by zero.
;;
;; exit: 134
;; stderr: WebAssembly trap: integer divide by zero
(module
  (memory (export "memory") 1)
  (func (export "_start") (drop (i32.rem_u (i32.const 1) (i32.load (i32.const 0))))))
