;; Gives the host a place for a result that lies outside its memory.

(import "hostler:host/domain@0.1.1" "[method]domain.config" (func $config (param i32 i32)))
(func $realloc (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
  (i32.const 2147483392))
(func $start (param $domain i32) (param $options i32) (param $length i32) (result i32)
  (call $config (local.get $domain) (i32.const 512))
  (i32.const 16))
