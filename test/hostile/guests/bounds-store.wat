;; SPDX-License-Identifier: Apache-2.0
;; Writes one byte behind its memory.
;;
;; exit: 134
;; stderr: WebAssembly trap: out of bounds memory access
(module
  (memory (export "memory") 1)
  (func (export "_start") (i32.store8 (i32.const 0x10000) (i32.const 1))))
