;; Exports nothing of what a driver is.

(component)
