;; SPDX-License-Identifier: Apache-2.0
;; Reads from a memory of no bytes.
;;
;; exit: 134
;; stderr: WebAssembly trap: out of bounds memory access
(module
  (memory (export "memory") 0)
  (func (export "_start") (drop (i32.load (i32.const 0)))))
