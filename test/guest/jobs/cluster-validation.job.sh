# What a failover cluster asks of a shared disk, sent by sg3-utils from two hosts through two portals,
# with a daemon killed and a daemon restarted in the middle. Sources, by the mark at each step:
#   [VT]  Microsoft, "Understanding Cluster Validation Tests: Storage" (help of Failover Cluster Manager)
#   [KB]  Microsoft KB 2488012, Validate Disk Arbitration and its keys
#   [AC]  Microsoft Core Team, "… Validation Fails on 'Validate SCSI-3 Persistent Reservation'", its log
#   [CSV] Microsoft, "Cluster Shared Volumes (CSV): Disk Ownership"
#   [HR]  Microsoft, "Device.Storage Requirements"; [PT] "Persistent Reservation Test (LOGO)"
#   [TP]  Microsoft, "Thin Provisioning" (Windows drivers, storage)
#   [WV]  VMware, "Clustered VMDK support for WSFC": ATS and type 7, Write Exclusive - All Registrants
#   [FS]  fence_scsi(8)   [MP] mpathpersist(8)   SPC-4, SBC-3: the sections named
# The addresses are in docs/guest-tests.md.
# shellcheck shell=bash disable=SC1091
. ./lib.sh
. ./nodes.sh
KEY_A=0x50455441000000a1 KEY_B=0x50455441000000b1

pr_in() { sg_persist --no-inquiry --in "$@"; }
pr_out() { sg_persist --no-inquiry --out "$@"; }
keys() { pr_in --read-keys "$1" | sed -n 's/^ *\(0x[0-9a-f]*\)$/\1/p' | sort | xargs; }
generation() { echo $(($(pr_in --read-keys "$1" | sed -n 's/.*PR generation=\(0x[0-9a-f]*\).*/\1/p'))); }
# "none", or "KEY TYPE".
reservation() {
  pr_in --read-reservation "$1" >/tmp/reservation
  if grep -q 'NO reservation held' /tmp/reservation; then
    echo none
  else
    sed -n 's/.*Key *= *\(0x[0-9a-f]*\).*/\1/p; s/.*type: *\(.*\)/\1/p' /tmp/reservation | xargs
  fi
}
same_everywhere() { # WHAT WANTED FUNCTION: each path tells the same.
  local path
  for path in $PATHS; do is "$1 on $path" "$($3 "${!path}")" "$2"; done
}
register_all() { # On each path of both hosts.
  local path key
  for path in $PATHS; do
    key=KEY_${path%?}
    status 0 "register ${!key} on $path" pr_out --register --param-sark="${!key}" "$@" "${!path}"
  done
}
four="$KEY_A $KEY_A $KEY_B $KEY_B"
head -c 512 /dev/urandom >/tmp/sector
start_nodes
login_nodes
forget

say '1. Identity: the same disk through every path [VT: List All Disks, Validate SCSI device VPD, Microsoft MPIO-based disks]'
# SPC-4 6.6.2, 7.8; SBC-3 6.6. Page 83h tells the port as well (association 1): that part is the path's.
for path in $PATHS; do
  sg_inq "${!path}" >"/out/inquiry-$path"
  for page in 0x00 0x80 0x86 0x8f 0xb0 0xb1 0xb2; do
    sg_inq --hex --hex --hex --page=$page "${!path}" >"/out/vpd-$page-$path" || fail "$path has no page $page"
    cmp "/out/vpd-$page-A1" "/out/vpd-$page-$path" || fail "page $page differs on $path"
  done
  sg_vpd --page=di_lu --quiet "${!path}" >"/out/vpd-0x83-$path"
  sg_vpd --page=di_target --quiet "${!path}" >>"/out/vpd-0x83-$path"
  cmp /out/vpd-0x83-A1 "/out/vpd-0x83-$path" || fail "page 83h differs on $path"
  cmp /out/inquiry-A1 "/out/inquiry-$path" || fail "INQUIRY differs on $path"
done
grep -q '^ *0x6[0-9a-f]\{31\}$' /out/vpd-0x83-A1 || fail "no NAA 6 name in page 83h: $(cat /out/vpd-0x83-A1)"
for number in 1 2; do
  one=A$number two=B$number
  is "the port of portal $number, to both hosts" "$(sg_vpd --page=di_port --quiet "${!one}")" \
    "$(sg_vpd --page=di_port --quiet "${!two}")"
done

say '2. Ports: one answer to REPORT TARGET PORT GROUPS everywhere [HR: MPIO, ALUA; SPC-4 6.37]'
for path in $PATHS; do
  sg_rtpg --decode "${!path}" >"/out/rtpg-$path"
  sg_rtpg --extended --decode "${!path}" >>"/out/rtpg-$path"
  cmp /out/rtpg-A1 "/out/rtpg-$path" || fail "RTPG differs on $path"
done
grep -q 'active/optimized' /out/rtpg-A1 || fail "no path is active: $(cat /out/rtpg-A1)"

say '3. Parameters: mode and log pages [HR: disk basics; SPC-4 6.7, 6.13, 7.3; SBC-3 6.4, 6.5]'
for path in $PATHS; do
  for page in 0x08 0x0a 0x1c 0x3f; do
    sg_modes --page=$page "${!path}" >>"/out/modes-$path" || fail "$path has no mode page $page"
    sg_modes --six --page=$page "${!path}" >>"/out/modes-$path" || fail "$path has no mode page $page"
  done
  for page in 0x00 0x2f; do
    sg_logs --page=$page "${!path}" >>"/out/logs-$path" || fail "$path has no log page $page"
  done
  cmp /out/modes-A1 "/out/modes-$path" || fail "the mode pages differ on $path"
done

say '4. Thin provisioning [TP; SBC-3 4.7, 5.4, 5.28, 6.4.4]'
sg_readcap --16 "$A1" >/out/readcap
grep -q 'lbpme=1, lbprz=1' /out/readcap || fail "not thin: $(cat /out/readcap)"
sg_vpd --page=lbpv "$A1" | tee /out/lbpv | grep -q 'thin provisioned' || fail 'VPD B2h does not say thin'
mapped() { sg_get_lba_status --lba="$2" --brief "$1"; }
status 0 'write sector 64' write_sector "$A1" 40
mapped "$B2" 64 >/out/lba-mapped
status 0 'unmap 64 KiB' sg_unmap --force --lba=0 --num=128 "$B2"
mapped "$A1" 64 >/out/lba-unmapped
if cmp -s /out/lba-mapped /out/lba-unmapped; then fail "UNMAP changed nothing: $(cat /out/lba-mapped)"; fi
read_sector "$A2" 40 /tmp/back
cmp /tmp/back <(head -c 512 /dev/zero) || fail 'an unmapped sector does not read as zeros'
status 0 'write sector 1' write_sector "$B1" 01
status 0 'VERIFY, medium' sg_verify --lba=0 --count=128 "$A1"
status 0 'VERIFY, compared' sg_verify --lba=1 --count=1 --ndo=512 --in=/tmp/sector "$A2"
status 14 'VERIFY, another content' sg_verify --lba=0 --count=1 --ndo=512 --in=/tmp/sector "$A2"

say '5. REGISTER on each path, keys and full status everywhere [VT: Validate SCSI-3 Persistent Reservation; AC; KB; SPC-4 5.13.7, 6.15]'
is 'the generation before' "$(generation "$A1")" 0
register_all --param-aptpl
same_everywhere keys "$four" keys
same_everywhere generation 4 generation
same_everywhere reservation none reservation
status 24 'register with a wrong key' pr_out --register --param-rk=0x99 --param-sark=0x98 "$A1"
status 0 'register again, the key known' pr_out --register --param-rk=$KEY_A --param-sark=$KEY_A --param-aptpl "$A1"
status 0 'register, ignoring the key' pr_out --register-ignore --param-sark=$KEY_B --param-aptpl "$B1"
same_everywhere generation 6 generation
full() { pr_in --read-full-status "$1" | sed '1d'; }
full "$A1" >/out/full-status
for path in $PATHS; do cmp /out/full-status <(full "${!path}") || fail "full status differs on $path"; done
is 'registrations of node a' "$(grep -c "$NODE_NAME-a,i,0x" /out/full-status)" 2
is 'registrations of node b' "$(grep -c "$NODE_NAME-b,i,0x" /out/full-status)" 2
pr_in --report-capabilities "$A1" >/out/capabilities
grep -q 'Persist Through Power Loss Active(PTPL_A): 1' /out/capabilities || fail "$(cat /out/capabilities)"

say '6. RESERVE type 5: registrants write through every path, a host without a key through none [VT; FS; SPC-4 5.13.9, table 65]'
status 0 'node b leaves, first path' pr_out --register --param-rk=$KEY_B --param-aptpl "$B1"
status 0 'node b leaves, second path' pr_out --register --param-rk=$KEY_B --param-aptpl "$B2"
status 24 'reserve without a registration' pr_out --reserve --param-rk=$KEY_B --prout-type=5 "$B1"
status 0 'node a reserves' pr_out --reserve --param-rk=$KEY_A --prout-type=5 "$A1"
same_everywhere reservation "$KEY_A Write Exclusive, registrants only" reservation
is 'the generation, which RESERVE leaves' "$(generation "$A1")" 8
status 0 'node a writes, first path' write_sector "$A1" 02
status 0 'node a writes, second path' write_sector "$A2" 03
for path in B1 B2; do
  status 24 "node b writes, $path" write_sector "${!path}" 02
  status 24 "node b unmaps, $path" sg_unmap --force --lba=0 --num=8 "${!path}"
  status 24 "node b compares and writes, $path" sg_compare_and_write --in=/tmp/sector --inw=/tmp/sector --lba=2 "${!path}"
  status 24 "node b writes the same, $path" sg_write_same --lba=2 --num=1 "${!path}"
  status 0 "node b reads, $path" read_sector "${!path}" 02
  block=BLOCK_$path
  if dd if=/dev/zero of="${!block}" bs=512 count=1 seek=2 oflag=direct status=none 2>/tmp/dd; then
    fail "the kernel of node b wrote through $path"
  fi
done
read_sector "$B2" 02 /tmp/back
cmp /tmp/sector /tmp/back || fail 'a refused write changed the disk'

say '7. The same holder again is no conflict; another type or another host is [SPC-4 5.13.9]'
status 0 'node a reserves again' pr_out --reserve --param-rk=$KEY_A --prout-type=5 "$A1"
status 24 'node a reserves another type' pr_out --reserve --param-rk=$KEY_A --prout-type=3 "$A1"
status 24 'node a reserves, not the holding path' pr_out --reserve --param-rk=$KEY_A --prout-type=5 "$A2"
status 0 'node b registers' pr_out --register --param-sark=$KEY_B --param-aptpl "$B1"
status 24 'node b reserves' pr_out --reserve --param-rk=$KEY_B --prout-type=5 "$B1"
status 0 'node b, registered, writes' write_sector "$B1" 04
status 24 'node b writes on the path without a key' write_sector "$B2" 04
status 0 'release by one who does not hold' pr_out --release --param-rk=$KEY_B --prout-type=5 "$B1"
is 'the reservation' "$(reservation "$B2")" "$KEY_A Write Exclusive, registrants only"
status 5 'release of another type' pr_out --release --param-rk=$KEY_A --prout-type=1 "$A1"

restart() { # kill or stop
  say "the daemon: $1 and start"
  host "$1"
  host start
  within 90 'all sessions are back' all_sessions_are LOGGED_IN 4
  for path in $PATHS; do is "told on $path" "$(told "${!path}")" 'Power on, reset, or bus device reset occurred'; done
}
for how in kill stop; do
  say "8. The appliance restarts ($how) [HR: persistent reservations; SPC-4 5.13.5 APTPL, 6.15.2 PRGENERATION]"
  restart $how
  # "Regardless of the APTPL bit value, set to zero by a power on": hosts are told of the power on.
  same_everywhere generation 0 generation
  same_everywhere keys "$KEY_A $KEY_A $KEY_B" keys
  same_everywhere reservation "$KEY_A Write Exclusive, registrants only" reservation
  status 24 'node b writes without a key' write_sector "$B2" 05
  for path in A1 A2 B1; do status 0 "a registrant writes, $path" write_sector "${!path}" 05; done
done

say '9. Arbitration: the challenger preempts an owner that does not defend itself [VT: Validate Disk Arbitration; KB; CSV; SPC-4 5.13.11.4]'
status 0 'node b registers, second path' pr_out --register --param-sark=$KEY_B --param-aptpl "$B2"
forget
before=$(generation "$B1")
status 0 'node b preempts node a' pr_out --preempt --param-rk=$KEY_B --param-sark=$KEY_A --prout-type=5 "$B1"
for path in A1 A2; do is "told on $path" "$(told "${!path}")" 'Registrations preempted'; done
for path in B1 B2; do is "told on $path" "$(told "${!path}")" ''; done
same_everywhere keys "$KEY_B $KEY_B" keys
same_everywhere reservation "$KEY_B Write Exclusive, registrants only" reservation
is 'the generation' "$(generation "$A1")" $((before + 1))
for path in A1 A2; do status 24 "node a writes, $path" write_sector "${!path}" 06; done
for path in B1 B2; do status 0 "node b writes, $path" write_sector "${!path}" 06; done
status 24 'node a cannot preempt without a key' pr_out --preempt --param-rk=$KEY_A --param-sark=$KEY_B --prout-type=5 "$A1"
say '   and the owner that defends itself: the challenger finds its key gone [VT: Validate Multiple Arbitration]'
status 0 'node a registers as challenger' pr_out --register-ignore --param-sark=$KEY_A --param-aptpl "$A1"
status 0 'node b removes the challenger' pr_out --preempt --param-rk=$KEY_B --param-sark=$KEY_A --prout-type=5 "$B1"
is 'told to the challenger' "$(told "$A1")" 'Registrations preempted'
status 24 'the challenger preempts too late' pr_out --preempt --param-rk=$KEY_A --param-sark=$KEY_B --prout-type=5 "$A1"
is 'the reservation' "$(reservation "$A2")" "$KEY_B Write Exclusive, registrants only"

say '10. RELEASE and failover, CLEAR [VT: Validate Disk Failover; SPC-4 5.13.11.2, 5.13.11.6]'
status 0 'node a registers' pr_out --register --param-sark=$KEY_A --param-aptpl "$A1"
status 0 'node a registers, second path' pr_out --register --param-sark=$KEY_A --param-aptpl "$A2"
status 0 'node b releases' pr_out --release --param-rk=$KEY_B --prout-type=5 "$B1"
for path in A1 A2 B2; do is "told on $path" "$(told "${!path}")" 'Reservations released'; done
is 'told to who released' "$(told "$B1")" ''
status 0 'node a reserves' pr_out --reserve --param-rk=$KEY_A --prout-type=5 "$A2"
status 0 'node a clears' pr_out --clear --param-rk=$KEY_A "$A1"
for path in A2 B1 B2; do is "told on $path" "$(told "${!path}")" 'Reservations preempted'; done
same_everywhere keys '' keys
same_everywhere reservation none reservation
for path in $PATHS; do status 0 "anyone writes, $path" write_sector "${!path}" 07; done

say '11. Type 7: every registrant holds it [WV; SPC-4 5.13.1, table 67]'
register_all --param-aptpl
status 0 'node a reserves for all' pr_out --reserve --param-rk=$KEY_A --prout-type=7 "$A1"
same_everywhere reservation '0x0 Write Exclusive, all registrants' reservation
status 0 'node b reserves the same' pr_out --reserve --param-rk=$KEY_B --prout-type=7 "$B2"
is 'holders in the full status' "$(pr_in --read-full-status "$B1" | grep -c 'Reservation holder')" 4
status 0 'the one who reserved leaves' pr_out --register --param-rk=$KEY_A --param-aptpl "$A1"
same_everywhere reservation '0x0 Write Exclusive, all registrants' reservation
status 24 'who has left writes' write_sector "$A1" 08
restart kill
same_everywhere reservation '0x0 Write Exclusive, all registrants' reservation
for path in A2 B1 B2; do status 0 "a registrant writes, $path" write_sector "${!path}" 08; done
status 24 'who has left writes' write_sector "$A1" 08
status 0 'clear' pr_out --clear --param-rk=$KEY_B "$B1"
forget

say '12. fence_scsi: "on" for both nodes, then "off" for node b with its I/O in flight [FS; MP; SPC-4 5.13.11.5]'
for path in $PATHS; do
  key=KEY_${path%?}
  # sg_persist -n -o -I -S KEY -d DEV; with aptpl=1 also -Z. Then -R -T 5 when there is no reservation.
  status 0 "on, $path" pr_out --register-ignore --param-sark="${!key}" --param-aptpl "${!path}"
done
status 0 'on: reserve' pr_out --reserve --param-rk=$KEY_A --prout-type=5 "$A1"
forget
# Node b overwrites 32 MiB again and again, 16 commands at a time, on both paths.
for block in "$BLOCK_B1" "$BLOCK_B2"; do
  echo 5 >"/sys/block/${block##*/}/device/timeout"
  fio --name=victim "--filename=$block" --rw=randwrite --bs=16k --size=32m --ioengine=libaio --iodepth=16 \
    --direct=1 --time_based --runtime=120 --buffer_pattern=0xbb --thread=1 >"/out/victim-${block##*/}" 2>&1 &
done
busy() { [ "$(awk '{ print $9 }' "/sys/block/${BLOCK_B1##*/}/stat")" -gt 4 ]; }
within 60 'I/O of node b is in flight' busy
sleep 2
status 0 'off: preempt and abort' pr_out --preempt-abort --param-rk=$KEY_A --param-sark=$KEY_B --prout-type=5 "$A1"
# From here on nothing of node b may land: what node a writes now stays.
dd if=/dev/zero of="$BLOCK_A2" bs=1M count=32 oflag=direct status=none
is 'keys' "$(keys "$A2")" "$KEY_A $KEY_A"
within 120 'the I/O of node b has ended' sh -c '! pgrep -x fio'
grep -q 'err=' /out/victim-* || fail 'the fenced node had no error'
dd if="$BLOCK_A1" bs=1M count=32 iflag=direct status=none | cmp -n 33554432 - /dev/zero ||
  fail 'a write of the fenced node landed after PREEMPT AND ABORT had been answered'
# Commands that were aborted have no answer (TAS=0, SPC-4 7.5.8), so the fenced kernel has reset the unit meanwhile:
# that reaches neither the keys nor the reservation.
forget
same_everywhere keys "$KEY_A $KEY_A" keys
same_everywhere reservation "$KEY_A Write Exclusive, registrants only" reservation
for path in B1 B2; do status 24 "the fenced node writes, $path" write_sector "${!path}" 09; done
status 24 'the fenced node cannot come back by its old key' pr_out --register --param-rk=$KEY_B --param-sark=$KEY_B "$B1"
status 0 'node a clears' pr_out --clear --param-rk=$KEY_A "$A1"
forget

say '13. The disk grows: each path is told [TP: LUN capacity changes; SBC-3 4.2.2, SPC-4 5.14]'
host resize 512MiB
for path in $PATHS; do is "told on $path" "$(told "${!path}")" 'Capacity data has changed'; done
for path in $PATHS; do is "the size on $path" "$(sg_readcap --brief --16 "${!path}" | awk '{ print $1 }')" 0x100000; done
iscsiadm -m node -T "$TARGET" --logout
