# What the jobs share. A job says `. ./lib.sh` first. From the host: ./environment with TARGET (the
# IQN), LUN, PORTALS (addresses, blank between), SIZE (bytes), KIND (petal or tgt).
# shellcheck shell=bash disable=SC1091,SC2034
set -eu -o pipefail
. ./environment
read -r PORTAL _ <<<"${PORTALS:-}"

say() { printf '== %s\n' "$*"; }
fail() {
  printf 'FAILED: %s\n' "$*"
  exit 1
}
# is WHAT GOT WANTED
is() {
  [ "$2" = "$3" ] || fail "$1 is \"$2\", not \"$3\""
  say "$1 is $3"
}
# within SECONDS WHAT COMMAND…: tries until it succeeds; else fails with what it said last.
within() {
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/tmp/within 2>&1; do
    [ $SECONDS -lt $end ] || fail "$what: not in time; last: $(cat /tmp/within)"
    sleep 0.2
  done
}

start_initiator() {
  echo 'InitiatorName=iqn.2026-11.internal.petal:guest' >/etc/iscsi/initiatorname.iscsi
  modprobe iscsi_tcp
  iscsid -f >>/out/iscsid.log 2>&1 &
  within 20 'iscsid answers' no_sessions
}

# A path that is gone fails its I/O after this many seconds, as a host with multipath is set up.
replacement_timeout() {
  sed -i "s/^\(node.session.timeo.replacement_timeout\) = .*/\1 = $1/" /etc/iscsi/iscsid.conf
}

discover() {
  iscsiadm -m discovery -t sendtargets -p "$PORTAL" | tee /out/discovery
  grep -qF "$PORTAL," /out/discovery || fail "no portal $PORTAL in the answer"
  grep -qF " $TARGET" /out/discovery || fail "no target $TARGET in the answer"
}

# path_of PORTAL: the link that udev makes for this session's disk.
path_of() { echo "/dev/disk/by-path/ip-$1-iscsi-$TARGET-lun-$LUN"; }

# login [PORTAL]: sets DISK to the device, such as /dev/sda.
login() {
  local portal=${1:-$PORTAL}
  iscsiadm -m node -T "$TARGET" -p "$portal" --login
  within 30 "a disk at $(path_of "$portal")" test -b "$(path_of "$portal")"
  DISK=$(readlink -f "$(path_of "$portal")")
}

logout() {
  iscsiadm -m node -T "$TARGET" --logout
  within 10 'the disk goes' test ! -e "$(path_of "$PORTAL")"
}

# Also true only when iscsid answers. iscsiadm's own status is 21 then.
no_sessions() { { iscsiadm -m session 2>&1 || true; } | grep -q 'No active sessions'; }
# For one session.
session_is() { grep -qx "$1" /sys/class/iscsi_session/session*/state; }

drop_caches() {
  sync
  echo 3 >/proc/sys/vm/drop_caches
}

# fill FOLDER / verify FOLDER: the same fio jobs, first writing, later reading back only. Three
# writers: large sequential, 4 KiB with O_SYNC each, small of mixed sizes with fsync now and then.
FIO_COMMON=(--verify=crc32c --verify_fatal=1 --group_reporting=1 --randrepeat=1 --ioengine=libaio
  --thread=1 --output-format=terse --terse-version=3)
fio_jobs() {
  local folder=$1 mib=${2:-96}
  FIO_JOBS=(
    --name=large "--filename=$folder/large" --rw=write --bs=256k "--size=${mib}m" --iodepth=4
    --direct=1
    --name=sync "--filename=$folder/sync" --rw=randwrite --bs=4k --size=4m --sync=1
    --name=mixed "--filename=$folder/mixed" --rw=randwrite --bsrange=512-16k --size=12m --fsync=32
  )
}
fill() {
  fio_jobs "$@"
  fio "${FIO_COMMON[@]}" --do_verify=0 --end_fsync=1 "${FIO_JOBS[@]}" >/out/fio-fill
}
verify() {
  drop_caches
  fio_jobs "$@"
  fio "${FIO_COMMON[@]}" --verify_only "${FIO_JOBS[@]}" >/out/fio-verify
}
