# What ESXi asks of a disk to use it with hardware acceleration (VAAI), sent by sg3-utils from two hosts
# through two portals: the probe, ATS and its contention, Zero, Delete, Clone, a pool without room, with the
# daemon killed in the middle. Sources, by the mark at each step:
#   [WN]  wahlnetwork.com, "The Many Names and Aliases of VAAI Primitives": the names and operation codes
#   [VA]  VMware, "vSphere APIs: Array Integration (VAAI)"
#   [VS]  VMware, "vSphere Storage" 6.5 to 8.0: space reclamation, hardware acceleration, array thin provisioning
#   [CH]  cormachogan.com, "ATS Miscompare detected between test and set HB images"
#   [XC]  codyhosterman.com, "XCOPY Improvement in vSphere 6.0": sizes, and what RECEIVE COPY RESULTS is asked for
#   [BK]  Broadcom KB 318923: THINPROV_NOSPACE, sense 7/27/07
#   SPC-4, SBC-3: the sections named
# The addresses are in docs/guest-tests.md.
# shellcheck shell=bash disable=SC1091
. ./lib.sh
. ./nodes.sh
# A round takes some 0.4 s under emulation; thousands of them are in test/initiator/two-hosts/.
ROUNDS=250
MIB=2048 # sectors
start_nodes
login_nodes
forget

say '1. The probe: names, limits, provisioning, operation codes [VA; VS; WN; SPC-4 6.35, 7.8; SBC-3 6.6]'
for path in $PATHS; do
  sg_vpd --page=bl "${!path}" >"/out/limits-$path"
  sg_vpd --page=lbpv "${!path}" >"/out/thin-$path"
  for code in 0x89 0x93 0x41 0x42 0x83,0 0x84,3 0x84,0; do
    sg_opcodes --no-inquiry --opcode=$code "${!path}" >/tmp/opcode
    grep -q 'supported \[conforming to SCSI standard\]' /tmp/opcode || fail "$code on $path: $(cat /tmp/opcode)"
  done
done
say 'ATS 89h, Zero 93h and 41h, Delete 42h, Clone 83h are told on every path'
value() { sed -n "s/^ *$1: *\([0-9]*\).*/\1/p" /out/limits-A1; }
[ "$(value 'Maximum compare and write length')" -ge 1 ] || fail 'no ATS in VPD B0h'
granularity=$(value 'Optimal unmap granularity')
[ $((MIB % granularity)) = 0 ] || fail "1 MiB is no multiple of the unmap granularity, $granularity"
say "unmap granularity: $granularity sectors, so VMFS 6 reclaims by itself"
is 'its alignment' "$(sed -n 's/^ *Unmap granularity alignment: *\([0-9]*\).*/\1/p' /out/limits-A1)" 0
[ "$(value 'Maximum unmap LBA count')" -ge $MIB ] || fail 'an UNMAP takes less than 1 MiB'
grep -q 'thin provisioned' /out/thin-A1 || fail "$(cat /out/thin-A1)"
for bit in LBPU LBPWS LBPWS10 LBPRZ; do
  grep -qE "\($bit\): *1" /out/thin-A1 || fail "VPD B2h: no $bit: $(cat /out/thin-A1)"
done

say '2. ATS: the lock of a VMFS heartbeat [WN; CH; SBC-3 5.2]'
image() { printf '%-512s' "$*"; }
image free >/tmp/free
image host a >/tmp/a
image host b >/tmp/b
status 0 'the free lock is written' write_sector "$A1" 20 /tmp/free
status 0 'host a takes it' sg_compare_and_write --in=/tmp/free --inw=/tmp/a --lba=32 "$A1"
status 14 'host b is too late' sg_compare_and_write --in=/tmp/free --inw=/tmp/b --lba=32 "$B2"
grep -q 'Miscompare at byte offset: 0 ' /tmp/status || fail "no offset: $(cat /tmp/status)"
{ head -c 5 /tmp/a; printf 'X'; tail -c 506 /tmp/a; } >/tmp/other
status 14 'an image that differs in one byte' sg_compare_and_write --in=/tmp/other --inw=/tmp/b --lba=32 "$B1"
grep -q 'Miscompare at byte offset: 5 ' /tmp/status || fail "no offset: $(cat /tmp/status)"
read_sector "$B2" 20 /tmp/back
cmp /tmp/a /tmp/back || fail 'a miscompare wrote'
status 0 'host a frees it through the other portal' sg_compare_and_write --in=/tmp/a --inw=/tmp/free --lba=32 "$A2"

say "3. $ROUNDS rounds: both hosts want the same lock at once, exactly one has it [CH]"
cp /tmp/free /tmp/lock
won_a=0 won_b=0
for round in $(seq $ROUNDS); do
  image "round $round host a" >/tmp/a
  image "round $round host b" >/tmp/b
  sg_compare_and_write --quiet --in=/tmp/lock --inw=/tmp/a --lba=32 "$A1" 2>/tmp/said-a &
  a=$!
  sg_compare_and_write --quiet --in=/tmp/lock --inw=/tmp/b --lba=32 "$B2" 2>/tmp/said-b &
  b=$!
  got_a=0 got_b=0
  wait $a || got_a=$?
  wait $b || got_b=$?
  case "$got_a $got_b" in
    '0 14') won_a=$((won_a + 1)) && mv /tmp/a /tmp/lock ;;
    '14 0') won_b=$((won_b + 1)) && mv /tmp/b /tmp/lock ;;
    *) fail "round $round: $got_a and $got_b: $(cat /tmp/said-a /tmp/said-b)" ;;
  esac
done
say "host a won $won_a, host b $won_b"
read_sector "$A2" 20 /tmp/back
cmp /tmp/lock /tmp/back || fail 'the lock is not what the last winner wrote'

say '4. Zero: WRITE SAME of zeros, 1 MiB at a time, and with UNMAP [WN; VA: block zeroing; SBC-3 5.43, 5.44]'
read_at() { dd if="$1" bs=1M skip="$2" count="$3" iflag=direct status=none; } # BLOCK MIB MIB
zeros() { read_at "$1" "$2" "$3" | cmp -n $(($3 * 1048576)) - /dev/zero; }
fill_from() { dd if=/dev/urandom of="$1" bs=1M seek="$2" count="$3" oflag=direct status=none; }
fill_from "$BLOCK_A1" 1 6
read_at "$BLOCK_B2" 6 1 >/tmp/kept
status 0 'WRITE SAME(16)' sg_write_same --16 --lba=$MIB --num=$MIB "$A2"
status 0 'WRITE SAME(16) with UNMAP' sg_write_same --16 --unmap --lba=$((2 * MIB)) --num=$MIB "$B1"
status 0 'WRITE SAME(10)' sg_write_same --10 --lba=$((3 * MIB)) --num=$MIB "$A1"
status 0 'WRITE SAME(10) with UNMAP' sg_write_same --10 --unmap --lba=$((4 * MIB)) --num=$MIB "$B2"
zeros "$BLOCK_B1" 1 4 || fail 'what was zeroed is not zero'
image pattern >/tmp/pattern
status 0 'WRITE SAME(16) with a pattern' sg_write_same --16 --in=/tmp/pattern --xferlen=512 --lba=$((5 * MIB)) --num=$MIB "$A1"
for ((i = 0; i < MIB; i++)); do image pattern; done >/tmp/patterns
read_at "$BLOCK_B2" 5 1 | cmp - /tmp/patterns || fail 'the pattern is not what was given'
read_at "$BLOCK_A2" 6 1 | cmp - /tmp/kept || fail 'the neighbour changed'
status 5 'a length of zero, which VPD B0h excludes (WSNZ)' sg_write_same --16 --lba=0 --num=0 "$A1"

say '5. Delete: UNMAP of whole mebibytes gives the space back [WN; VS: space reclamation; SBC-3 5.28, 5.4]'
fill_from "$BLOCK_B1" 16 32
before=$(host used)
status 0 'UNMAP of two ranges' sg_unmap --force --lba=$((16 * MIB)),$((32 * MIB)) --num=$((16 * MIB)),$((16 * MIB)) "$A2"
freed() { [ $((before - $(host used))) -ge $((30 * 1048576)) ]; }
within 30 'the space is given back' freed
zeros "$BLOCK_A1" 16 32 || fail 'deleted sectors do not read as zeros'
sg_get_lba_status --16 --lba=$((16 * MIB)) "$B1" >/out/lba-status
grep -q 'deallocated' /out/lba-status || fail "GET LBA STATUS: $(cat /out/lba-status)"

say '6. Clone within the disk: EXTENDED COPY(LID1), RECEIVE COPY RESULTS [WN; XC; SPC-4 6.4, 6.22]'
fill_from "$BLOCK_A1" 64 32
sg_copy_results --params "$A1" >/out/copy-parameters || fail 'no operating parameters'
wanted=$(read_at "$BLOCK_A1" 64 32 | sha256sum)
status 0 'copy 32 MiB, 4 MiB a segment' sg_xcopy if="$A1" of="$A1" bs=512 bpt=8192 skip=$((64 * MIB)) seek=$((128 * MIB)) count=$((32 * MIB))
is 'the checksum of the copy, read by the other host' "$(read_at "$BLOCK_B2" 128 32 | sha256sum)" "$wanted"
is 'the checksum of the source' "$(read_at "$BLOCK_B1" 64 32 | sha256sum)" "$wanted"
status 0 'another list identifier' sg_xcopy if="$B2" of="$B2" bs=512 list_id=9 id_usage=hold skip=$((64 * MIB)) seek=$((200 * MIB)) count=2048
status 0 'its status' sg_copy_results --status --list_id=9 "$B2"
grep -q 'Operation completed without errors' /tmp/status || fail "$(cat /tmp/status)"
status 0 'what remains of it is told once' sg_copy_results --params "$B1"

say '7. The daemon is killed: what was acknowledged is there, and all of it works on [VA]'
host kill
host start
within 90 'all sessions are back' all_sessions_are LOGGED_IN 4
forget
read_sector "$B1" 20 /tmp/back
cmp /tmp/lock /tmp/back || fail 'the lock is not what the last winner wrote'
is 'the checksum of the copy' "$(read_at "$BLOCK_A2" 128 32 | sha256sum)" "$wanted"
zeros "$BLOCK_A1" 16 32 || fail 'deleted sectors do not read as zeros'
image after >/tmp/after
status 0 'ATS' sg_compare_and_write --in=/tmp/lock --inw=/tmp/after --lba=32 "$B1"
status 14 'ATS, too late' sg_compare_and_write --in=/tmp/lock --inw=/tmp/after --lba=32 "$A1"

say '8. A pool without room [BK; VS: array thin provisioning; SBC-3 4.7.3.7]'
if dd if=/dev/urandom of="$BLOCK_A1" bs=1M seek=300 oflag=direct status=none 2>/tmp/dd; then
  fail 'a disk larger than the pool was filled'
fi
grep -q 'No space left on device' /tmp/dd || fail "the kernel was told something else: $(cat /tmp/dd)"
head -c 1048576 /dev/urandom >/tmp/mib
full() { sg_raw -s 1048576 -i /tmp/mib "$1" 2a 00 00 1f 00 00 00 08 00 00; }
for path in $PATHS; do
  # A path that was idle when the threshold was reached has to say so first (38h/07h).
  sg_turs "${!path}" >/dev/null 2>&1 || true
  status 7 "a write, $path" full "${!path}"
  grep -q 'Space allocation failed write protect' /tmp/status || fail "$path: $(cat /tmp/status)"
done
is 'the checksum of the copy' "$(read_at "$BLOCK_B1" 128 32 | sha256sum)" "$wanted"
status 0 'what is allocated can still be written' write_sector "$A2" 20 /tmp/free
status 0 'Delete makes room' sg_unmap --force --lba=$((64 * MIB)) --num=$((32 * MIB)) "$B2"
within 30 'a write' full "$A1"
iscsiadm -m node -T "$TARGET" --logout
