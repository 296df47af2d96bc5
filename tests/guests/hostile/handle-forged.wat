;; Uses a handle that nobody gave it.

(import "hostler:host/domain@0.1.1" "[method]domain.name" (func $name (param i32 i32)))
(func $start (param $domain i32) (param $options i32) (param $length i32) (result i32)
  (call $name (i32.const 12345) (i32.const 512))
  (i32.const 16))
