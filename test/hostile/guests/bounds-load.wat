;; SPDX-License-Identifier: Apache-2.0
;; Reads at the highest address that an instruction can name: 8 GiB.
;;
;; exit: 134
;; stderr: WebAssembly trap: out of bounds memory access
(module
  (memory (export "memory") 1)
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 0xffffffff))
    (drop (i64.load offset=0xffffffff (i32.load (i32.const 0))))))
