;; SPDX-License-Identifier: Apache-2.0
;; Copies from a data segment that it has dropped.
;;
;; exit: 134
;; stderr: WebAssembly trap: out of bounds memory access
(module
  (memory (export "memory") 1)
  (data $d "some text")
  (func (export "_start")
    (data.drop $d)
    (memory.init $d (i32.const 0) (i32.const 0) (i32.const 9))))
