;; SPDX-License-Identifier: Apache-2.0
;; Traps in the module's start function: the guest was started, and has ended.
;;
;; exit: 134
;; stderr: WebAssembly trap: unreachable
(module
  (memory (export "memory") 1)
  (func $start (unreachable))
  (start $start)
  (func (export "_start")))
