;; SPDX-License-Identifier: Apache-2.0
;; Calls an entry of a table that holds nothing.
;;
;; exit: 134
;; stderr: WebAssembly trap: uninitialized element
(module
  (memory (export "memory") 1)
  (table 4 4 funcref)
  (func (export "_start") (call_indirect (i32.const 3))))
