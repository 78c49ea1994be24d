;; SPDX-License-Identifier: Apache-2.0
;; Copies entries within its table, with a start and a length whose sum is 0 in 32 bits.
;;
;; exit: 134
;; stderr: WebAssembly trap: out of bounds table access
(module
  (memory (export "memory") 1)
  (table 8 8 funcref)
  (func (export "_start") (table.copy (i32.const 0) (i32.const 0xffffffff) (i32.const 1))))
