#!/bin/busybox sh
# What the guest agent calls as shutdown -h -P|-r|-H +0 WORDS.
export PATH=/bin
case " $* " in
*" -r "*) how=reboot ;;
*) how=poweroff ;;
esac
echo "hostler-guest: shutting down (agent, $how)" >/dev/console
sync
exec "$how" -f
