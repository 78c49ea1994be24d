;; Takes as many mappings of the daemon's as a module can that the engine accepts: goes deep
;; down its stack, grows its memory, reads a hundred directories, and grows sixteen tables
;; past what libc may map apart, then each second one once more, which leaves holes. Then it
;; writes a byte, and sleeps for ever.
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_readdir" (func $read (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (table 1 65537 funcref) (table 1 65537 funcref) (table 1 65537 funcref) (table 1 65537 funcref)
  (table 1 65537 funcref) (table 1 65537 funcref) (table 1 65537 funcref) (table 1 65537 funcref)
  (table 1 65537 funcref) (table 1 65537 funcref) (table 1 65537 funcref) (table 1 65537 funcref)
  (table 1 65537 funcref) (table 1 65537 funcref) (table 1 65537 funcref) (table 1 65537 funcref)
  (data (i32.const 16) ".")
  (data (i32.const 32) "\10\00\00\00\01\00\00\00") ;; the byte to write
  (data (i32.const 80) "\01")                       ;; clock id: monotonic
  (data (i32.const 88) "\00\00\00\00\00\00\00\10")  ;; timeout: 36 years
  (func $down (param i32) (result i32)
    (if (i32.eqz (local.get 0)) (then (return (i32.const 1))))
    (i32.rotl (call $down (i32.sub (local.get 0) (i32.const 1))) (local.get 0)))
  (func $directory
    (if (call $open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 2)
          (i64.const 0x4000) (i64.const 0) (i32.const 0) (i32.const 8))
      (then unreachable))
    (if (call $read (i32.load (i32.const 8)) (i32.const 256) (i32.const 64) (i64.const 0) (i32.const 12))
      (then unreachable)))
  (func $enough (param i32) (if (i32.eq (local.get 0) (i32.const -1)) (then unreachable)))
  (func $tables
    (call $enough (table.grow 0 (ref.null func) (i32.const 9000)))
    (call $enough (table.grow 1 (ref.null func) (i32.const 9000)))
    (call $enough (table.grow 2 (ref.null func) (i32.const 9000)))
    (call $enough (table.grow 3 (ref.null func) (i32.const 9000)))
    (call $enough (table.grow 4 (ref.null func) (i32.const 9000)))
    (call $enough (table.grow 5 (ref.null func) (i32.const 9000)))
    (call $enough (table.grow 6 (ref.null func) (i32.const 9000)))
    (call $enough (table.grow 7 (ref.null func) (i32.const 9000)))
    (call $enough (table.grow 8 (ref.null func) (i32.const 9000)))
    (call $enough (table.grow 9 (ref.null func) (i32.const 9000)))
    (call $enough (table.grow 10 (ref.null func) (i32.const 9000)))
    (call $enough (table.grow 11 (ref.null func) (i32.const 9000)))
    (call $enough (table.grow 12 (ref.null func) (i32.const 9000)))
    (call $enough (table.grow 13 (ref.null func) (i32.const 9000)))
    (call $enough (table.grow 14 (ref.null func) (i32.const 9000)))
    (call $enough (table.grow 15 (ref.null func) (i32.const 9000)))
    (call $enough (table.grow 0 (ref.null func) (i32.const 9500)))
    (call $enough (table.grow 2 (ref.null func) (i32.const 9500)))
    (call $enough (table.grow 4 (ref.null func) (i32.const 9500)))
    (call $enough (table.grow 6 (ref.null func) (i32.const 9500)))
    (call $enough (table.grow 8 (ref.null func) (i32.const 9500)))
    (call $enough (table.grow 10 (ref.null func) (i32.const 9500)))
    (call $enough (table.grow 12 (ref.null func) (i32.const 9500)))
    (call $enough (table.grow 14 (ref.null func) (i32.const 9500))))
  (func (export "_start") (local $n i32)
    (drop (call $down (i32.const 5000)))
    (call $enough (memory.grow (i32.const 100)))
    (call $tables)
    (loop $l
      (call $directory)
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $l (i32.lt_u (local.get $n) (i32.const 100))))
    (drop (call $write (i32.const 1) (i32.const 32) (i32.const 1) (i32.const 40)))
    (loop $l (drop (call $poll (i32.const 64) (i32.const 128) (i32.const 1) (i32.const 160))) (br $l))))
