;; Copies half of 2 GiB of memory for ever.
(module
  (memory (export "memory") 32768)
  (func (export "_start")
    (loop $l (memory.copy (i32.const 0) (i32.const 0x40000000) (i32.const 0x40000000)) (br $l))))
