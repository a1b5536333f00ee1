/** qemu-io through QEMU's own iSCSI driver: patterns, unaligned edges, zeroes, discard, flush. */
import test from 'ava';
import { Daemon } from '../kit/daemon.ts';
import { runOk } from '../kit/run.ts';

/** Each script goes through one qemu-io on one LUN; `read -P` fails unless the pattern matches. */
const scripts: ReadonlyArray<{ name: string; commands: readonly string[] }> = [
  {
    name: 'writes read back',
    commands: [
      'write -P 0x11 0 4k',
      'write -P 0x22 1M 3M',
      'read -P 0x11 0 4k',
      'read -P 0x22 1M 3M',
    ],
  },
  {
    name: 'writes of single sectors leave their neighbours alone',
    commands: [
      'write -P 0x31 8M 64k',
      'write -P 0x32 8389120 512',
      'write -P 0x33 8396288 1536',
      'read -P 0x31 8M 512',
      'read -P 0x32 8389120 512',
      'read -P 0x31 8389632 6656',
      'read -P 0x33 8396288 1536',
      'read -P 0x31 8397824 1k',
    ],
  },
  {
    name: 'what was never written is zeros',
    commands: ['read -P 0 512M 1M', 'read -P 0 1073737728 4k'],
  },
  {
    name: 'write zeroes, allocated and not',
    commands: [
      'write -P 0x41 16M 1M',
      'write -z 16908288 128k',
      'write -z -u 17301504 64k',
      'read -P 0x41 16M 128k',
      'read -P 0 16908288 128k',
      'read -P 0 17301504 64k',
      'read -P 0x41 17367040 64k',
    ],
  },
  {
    name: 'discard reads as zeros and spares the rest',
    commands: [
      'write -P 0x51 32M 2M',
      'discard 33M 512k',
      'read -P 0x51 32M 1M',
      'read -P 0 33M 512k',
      'read -P 0x51 35127296 512k',
    ],
  },
  {
    name: 'overlapping writes in flight end whole; flush after each burst',
    commands: [
      'aio_write -q -P 0x61 64M 256k',
      'aio_write -q -P 0x62 67371008 256k',
      'aio_write -q -P 0x63 67633152 256k',
      'aio_flush',
      'flush',
      'read -P 0x61 64M 256k',
      'read -P 0x62 67371008 256k',
      'read -P 0x63 67633152 256k',
    ],
  },
  {
    name: 'forced unit access',
    commands: ['write -f -P 0x71 96M 64k', 'read -P 0x71 96M 64k'],
  },
];

test('patterns through qemu-io', async (t) => {
  const daemon = await Daemon.forTest(t);
  const disk = await daemon.createDisk('patterns', '1GiB');
  for (const { name, commands } of scripts) {
    const args = ['-f', 'raw', ...commands.flatMap((command) => ['-c', command])];
    const result = await runOk('qemu-io', [...args, daemon.url(disk)]);
    // qemu-io exits 0 on some failures of its own commands; it says so in words.
    t.notRegex(result.output, /fail|error|usage|not found/i, `${name}:\n${result.output}`);
  }
});

test('all of it is still there after kill -9', async (t) => {
  const daemon = await Daemon.forTest(t);
  const disk = await daemon.createDisk('kept', '256MiB');
  const io = async (...commands: string[]) => {
    const args = commands.flatMap((command) => ['-c', command]);
    const result = await runOk('qemu-io', ['-f', 'raw', ...args, daemon.url(disk)]);
    t.notRegex(result.output, /fail|error/i, result.output);
  };
  await io('write -P 0x91 0 8M', 'discard 1M 1M', 'write -P 0x92 4M 512');
  await daemon.kill();
  await daemon.launch();
  await io('read -P 0x91 0 1M', 'read -P 0 1M 1M', 'read -P 0x91 2M 2M', 'read -P 0x92 4M 512');
});
