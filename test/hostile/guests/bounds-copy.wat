;; SPDX-License-Identifier: Apache-2.0
;; Copies 4 GiB from beyond its memory.
;;
;; exit: 134
;; stderr: WebAssembly trap: out of bounds memory access
(module
  (memory (export "memory") 1)
  (func (export "_start") (memory.copy (i32.const 0) (i32.const 0xfffffff0) (i32.const 0xffffffff))))
