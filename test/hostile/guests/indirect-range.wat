;; SPDX-License-Identifier: Apache-2.0
;; Calls an entry that its table does not have.
;;
;; exit: 134
;; stderr: WebAssembly trap: undefined element
(module
  (memory (export "memory") 1)
  (table 4 4 funcref)
  (func (export "_start") (call_indirect (i32.const 0x80000000))))
