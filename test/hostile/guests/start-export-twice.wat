;; SPDX-License-Identifier: Apache-2.0
;; Has a start function, and exports another one under the name that the engine gives to it.
;;
;; create: export
(module
  (memory (export "memory") 1)
  (func $f)
  (start $f)
  (func (export "containerd-wasm.start") (unreachable))
  (func (export "_start")))
