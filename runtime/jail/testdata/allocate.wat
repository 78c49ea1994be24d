;; Has the engine allocate much, and free it, for ever: a path of 60,000 bytes.
(module
  (import "wasi_snapshot_preview1" "path_filestat_get"
    (func $stat (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (func (export "_start")
    (memory.fill (i32.const 0) (i32.const 97) (i32.const 60000))
    (loop $l
      (drop (call $stat (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 60000) (i32.const 65536)))
      (br $l))))
