;; Grows its memory until it is refused, then touches every page of it. Not wrong: it gets what it may have.

(func $start (param $domain i32) (param $options i32) (param $length i32) (result i32)
  (local $page i32)
  (block $full (loop $more
    (br_if $full (i32.eq (memory.grow (i32.const 16)) (i32.const -1)))
    (br $more)))
  (loop $next
    (i32.store8 (i32.add (i32.mul (local.get $page) (i32.const 65536)) (i32.const 4095)) (i32.const 1))
    (local.set $page (i32.add (local.get $page) (i32.const 1)))
    (br_if $next (i32.lt_u (local.get $page) (memory.size))))
  (i32.const 16))
