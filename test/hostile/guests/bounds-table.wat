;; SPDX-License-Identifier: Apache-2.0
;; Reads an entry that its table does not have.
;;
;; exit: 134
;; stderr: WebAssembly trap: out of bounds table access
(module
  (memory (export "memory") 1)
  (table 1 1 funcref)
  (func (export "_start") (drop (table.get 0 (i32.const 0xffffffff)))))
