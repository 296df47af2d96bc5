;; What every guest of this folder has beside its misdeed: the exports of a driver, each doing nothing.
;;
;; A guest is put together from this file and its own: the part above the line, the guest's fields, and the part below,
;; of which a guest may bring its own `$start`, `$end`, `$realloc`, `$post` and memory. An answer at address 16, which is
;; all zeros, is an empty text, "ok" or "off".
(import "hostler:host/domain@0.1.1" "[resource-drop]domain" (func $give-back (param i32)))
;; ---
(memory (export "memory") 4)
(func $start (param $domain i32) (param $options i32) (param $length i32) (result i32) (i32.const 16))
(func $end (param $domain i32) (call $give-back (local.get $domain)))
(func $post (param i32))
(global $free (mut i32) (i32.const 4096))
(func $realloc (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
  (global.set $free (i32.and (i32.add (global.get $free) (i32.const 15)) (i32.const -16)))
  (global.get $free)
  (global.set $free (i32.add (global.get $free) (local.get $size))))
;; ---
(export "cabi_realloc" (func $realloc))
(func $with-domain (param $domain i32) (result i32) (call $end (local.get $domain)) (i32.const 16))
(func (export "hostler:driver/about@0.1.1#describe") (result i32) (i32.const 16))
(export "hostler:driver/lifecycle@0.1.1#check" (func $with-domain))
(func (export "hostler:driver/lifecycle@0.1.1#start") (param i32 i32 i32) (result i32)
  (call $start (local.get 0) (local.get 1) (local.get 2))
  (call $end (local.get 0)))
(export "cabi_post_hostler:driver/lifecycle@0.1.1#start" (func $post))
(export "hostler:driver/lifecycle@0.1.1#shutdown" (func $with-domain))
(export "hostler:driver/lifecycle@0.1.1#destroy" (func $with-domain))
(export "hostler:driver/lifecycle@0.1.1#suspend" (func $with-domain))
(export "hostler:driver/lifecycle@0.1.1#resume" (func $with-domain))
(export "hostler:driver/lifecycle@0.1.1#reset" (func $with-domain))
(export "hostler:driver/lifecycle@0.1.1#query" (func $with-domain))
(export "hostler:driver/lifecycle@0.1.1#reattach" (func $with-domain))
(func (export "hostler:driver/lifecycle@0.1.1#on-event") (param i32 i64 i32 i32 i32 i32) (result i32)
  (call $with-domain (local.get 0)))
(func (export "hostler:driver/lifecycle@0.1.1#recovery-complete"))
