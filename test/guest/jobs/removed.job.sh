# A disk in use is not removed by accident. A removed disk refuses login with a clear status and no
# session stays behind; restored, it has its data and its identity. Removed by force under a live
# session, it ends that session, I/O ends with an error and does not hang, and a restore in time brings
# the host back by itself.
# shellcheck shell=bash disable=SC1091
. ./lib.sh
replacement_timeout 5
start_initiator
discover
login
wwid=$(cat "/sys/block/${DISK##*/}/device/wwid")
fill_disk=(--name=raw "--rw=write" --bs=64k --size=8m --direct=1 --ioengine=libaio --randrepeat=1
  --verify=crc32c --verify_fatal=1 --thread=1)
fio "${fill_disk[@]}" --filename="$DISK" --do_verify=0 >/out/fio-raw

if host remove >/out/refusal 2>&1; then fail 'a disk in use was removed'; fi
say "refused: $(cat /out/refusal)"
blockdev --flushbufs "$DISK"
dd if="$DISK" of=/dev/null bs=64k count=1 iflag=direct status=none
logout
host remove

refused() {
  # The initiator tries again on its own for some seconds only when the status lets it.
  if timeout 60 iscsiadm -m node -T "$TARGET" -p "$PORTAL" --login >/out/login 2>&1; then
    fail 'login to a removed disk went through'
  fi
  cat /out/login
  # RFC 7143 11.13.5: status class 02h (initiator error), detail 03h (not found).
  grep -q '02/03' /out/iscsid.log || fail "no status 02/03: $(tail -n 5 /out/iscsid.log)"
  within 20 'no session stays' no_sessions
}
refused
is 'the number of sessions at the target' "$(host sessions)" 0
iscsiadm -m discovery -t sendtargets -p "$PORTAL" -o nonpersistent >/out/discovery-2 || true
if grep -F " $TARGET" /out/discovery-2; then fail 'a removed disk is still announced'; fi

host undelete
login
is 'the identity' "$(cat "/sys/block/${DISK##*/}/device/wwid")" "$wwid"
fio "${fill_disk[@]}" --filename="$DISK" --verify_only >/out/fio-raw

say 'removed by force under a live session'
: >/out/iscsid.log
host remove --force
is 'the number of sessions at the target' "$(host sessions)" 0
# open-iscsi tries an established session again for ever (every 2 s) whatever the target answers, so
# what is asked of the target is a clear answer each time.
within 20 'a new login is refused' grep -q '02/03' /out/iscsid.log
if timeout 60 dd if="$DISK" of=/dev/null bs=64k count=1 iflag=direct 2>/out/dd; then
  fail 'a read of the removed disk went through'
fi
grep -q 'error' /out/dd || fail "the read hung: $(cat /out/dd)"
is 'the number of sessions at the target' "$(host sessions)" 0

say 'restored in time'
host undelete
within 30 'the session is back by itself' session_is LOGGED_IN
within 30 'the disk is back' dd if="$DISK" of=/dev/null bs=64k count=1 iflag=direct
is 'the identity' "$(cat "/sys/block/${DISK##*/}/device/wwid")" "$wwid"
fio "${fill_disk[@]}" --filename="$DISK" --verify_only >/out/fio-raw

host remove --force
within 20 'the session has failed' session_is FAILED
logout
no_sessions || fail 'a session stays after logout'
