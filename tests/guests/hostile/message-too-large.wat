;; Hands over notes of 5 MiB: more than one host call may carry.

(import "hostler:host/domain@0.1.1" "[method]domain.put-state" (func $put-state (param i32 i32 i32 i32)))
(memory (export "memory") 128)
(func $start (param $domain i32) (param $options i32) (param $length i32) (result i32)
  (call $put-state (local.get $domain) (i32.const 65536) (i32.const 5242880) (i32.const 512))
  (i32.const 16))
