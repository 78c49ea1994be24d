;; SPDX-License-Identifier: Apache-2.0
;; Exports its memory under the name that the engine gives to start functions.
;;
;; exit: 0
(module
  (memory (export "containerd-wasm.start") 1)
  (func (export "_start")))
