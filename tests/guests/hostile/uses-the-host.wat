;; Asks the host for the domain's name and the time, and writes a line: ordinary use.

(import "hostler:host/domain@0.1.1" "[method]domain.name" (func $name (param i32 i32)))
(import "hostler:host/clock@0.1.1" "monotonic-ms" (func $now (result i64)))
(import "hostler:host/log@0.1.1" "write" (func $log (param i32 i32 i32 i32 i32)))
(data (i32.const 256) "hello")
(func $start (param $domain i32) (param $options i32) (param $length i32) (result i32)
  (call $name (local.get $domain) (i32.const 512))
  (drop (call $now))
  (call $log (i32.const 2) (i32.const 256) (i32.const 5) (i32.const 0) (i32.const 0))
  (i32.const 16))
