;; SPDX-License-Identifier: Apache-2.0
;; Needs more memory to start than it may have, and does not export it.
;;
;; start: memory
;; memory: 16MiB
(module
  (memory 257)
  (func (export "_start")))
