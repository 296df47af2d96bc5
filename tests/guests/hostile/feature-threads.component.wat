;; Waits on shared memory, where no deadline reaches it.

(component
  (core module $m
    (memory 1 1 shared)
    (func $wait (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1))))
    (start $wait))
  (core instance (instantiate $m)))
