#!/bin/busybox sh
# Run by acpid when the power button is pressed.
echo "hostler-guest: shutting down (acpi)" > /dev/console
/bin/busybox sync
/bin/busybox poweroff -f
