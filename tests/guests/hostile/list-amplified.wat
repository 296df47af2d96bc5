;; Hands over a list of 100,000 facts that all lie on the same megabyte of text.

(import "hostler:host/log@0.1.1" "write" (func $log (param i32 i32 i32 i32 i32)))
(memory (export "memory") 64)
(func $fill (local $at i32)
  (memory.fill (i32.const 1048576) (i32.const 120) (i32.const 1048576))
  (local.set $at (i32.const 2097152))
  (loop $next
    (i32.store (local.get $at) (i32.const 1048576))
    (i32.store offset=4 (local.get $at) (i32.const 0))
    (i32.store offset=8 (local.get $at) (i32.const 1048576))
    (i32.store offset=12 (local.get $at) (i32.const 1048576))
    (local.set $at (i32.add (local.get $at) (i32.const 16)))
    (br_if $next (i32.lt_u (local.get $at) (i32.const 3697152)))))
(func $start (param $domain i32) (param $options i32) (param $length i32) (result i32)
  (call $fill)
  (call $log (i32.const 2) (i32.const 256) (i32.const 0) (i32.const 2097152) (i32.const 100000))
  (i32.const 16))
