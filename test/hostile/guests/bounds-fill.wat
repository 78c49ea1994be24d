;; SPDX-License-Identifier: Apache-2.0
;; Fills 4 GiB, of which it has 64 KiB.
;;
;; exit: 134
;; stderr: WebAssembly trap: out of bounds memory access
(module
  (memory (export "memory") 1)
  (func (export "_start") (memory.fill (i32.const 16) (i32.const 0xff) (i32.const 0xffffffff))))
