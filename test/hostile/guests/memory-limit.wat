;; SPDX-License-Identifier: Apache-2.0
;; Grows its memory to its limit of 256 pages, and no further. It can live with that.
;;
;; exit: 0
;; memory: 16MiB
(module
  (memory (export "memory") 1)
  (func (export "_start")
    (if (i32.ne (memory.grow (i32.const 256)) (i32.const -1)) (then (unreachable)))
    (if (i32.ne (memory.grow (i32.const 255)) (i32.const 1)) (then (unreachable)))
    (if (i32.ne (memory.grow (i32.const 1)) (i32.const -1)) (then (unreachable)))
    (i32.store8 (i32.const 0xffffff) (i32.const 1))
    (if (i32.ne (memory.size) (i32.const 256)) (then (unreachable)))))
