/** Data arrives whole whatever was negotiated: bursts, segments, R2T, immediate data, digests. */
import test from 'ava';
import { read16, write16 } from '../kit/cdb.ts';
import { Daemon } from '../kit/daemon.ts';
import { expectGood, type Initiator } from '../kit/initiator.ts';
import { SeededRandom } from '../kit/random.ts';

type Keys = Readonly<Record<string, string>>;

const offers: ReadonlyArray<readonly [name: string, keys: Keys]> = [
  ['defaults', {}],
  ['immediate data only', { InitialR2T: 'Yes', ImmediateData: 'Yes' }],
  ['unsolicited data only', { InitialR2T: 'No', ImmediateData: 'No' }],
  ['solicited data only', { InitialR2T: 'Yes', ImmediateData: 'No' }],
  ['smallest bursts', { MaxBurstLength: '512', FirstBurstLength: '512' }],
  ['odd bursts', { MaxBurstLength: '5000', FirstBurstLength: '1500' }],
  ['smallest segments', { MaxRecvDataSegmentLength: '512' }],
  ['segments of no power of two', { MaxRecvDataSegmentLength: '3000' }],
  ['largest of everything', largest()],
  ['several R2Ts', { MaxOutstandingR2T: '8', MaxBurstLength: '4096', FirstBurstLength: '4096' }],
  ['header digest', { HeaderDigest: 'CRC32C' }],
  ['data digest', { DataDigest: 'CRC32C' }],
  ['both digests, by preference', { HeaderDigest: 'CRC32C,None', DataDigest: 'CRC32C,None' }],
];

function largest(): Keys {
  const most = String(2 ** 24 - 1);
  return { MaxRecvDataSegmentLength: most, MaxBurstLength: most, FirstBurstLength: most };
}

const LENGTHS = [512, 4096, 8192, 65_536, 66_048, 262_144, 1_048_576];

async function roundTrip(session: Initiator, random: SeededRandom, length: number) {
  const lba = random.below(1_000_000);
  const data = random.fill(Buffer.alloc(length));
  const write = await session.command(write16(lba, length / 512), { dataOut: data });
  expectGood(write, `write of ${length}`);
  const read = await session.command(read16(lba, length / 512), { expectIn: length });
  return { data, back: expectGood(read, `read of ${length}`).data, write, read };
}

test('every offer of keys carries every length', async (t) => {
  const daemon = await Daemon.forTest(t);
  const disk = await daemon.disk();
  const random = new SeededRandom();
  t.log(`seed ${random.seed}`);
  for (const [name, keys] of offers) {
    const session = await daemon.login(disk, { keys });
    await session.settle();
    if (keys.HeaderDigest !== undefined)
      t.is(session.negotiated.keys.get('HeaderDigest'), 'CRC32C');
    if (keys.DataDigest !== undefined) t.is(session.negotiated.keys.get('DataDigest'), 'CRC32C');
    for (const length of LENGTHS) {
      const { data, back, write, read } = await roundTrip(session, random, length);
      t.true(back.equals(data), `${name}, ${length} bytes`);
      t.deepEqual([write.residual, read.residual], [0, 0]);
    }
    await session.logout();
  }
});

test('a wrong data digest is rejected and the data is not written', async (t) => {
  const daemon = await Daemon.forTest(t);
  const disk = await daemon.disk();
  const session = await daemon.login(disk, { keys: { DataDigest: 'CRC32C' } });
  await session.settle();
  await session.write(0, Buffer.alloc(512, 1));
  const { wire } = session;
  const send = wire.sendBytes.bind(wire);
  // The last four bytes of a PDU with data are its digest.
  wire.sendBytes = (bytes) => {
    const changed = Buffer.from(bytes);
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
    send(changed);
  };
  const command = session.command(write16(0, 1), {
    dataOut: Buffer.alloc(512, 2),
    timeoutMs: 3000,
  });
  // Reject reason 02h and the command is dropped, or the connection ends (RFC 7143 7.8).
  await command.then(
    (result) => t.not(result.status, 0),
    () => {
      const rejected = session.unsolicited.some(({ header }) => header[2] === 0x02);
      t.true(rejected || !wire.isOpen);
    },
  );
  session.close();
  const again = await daemon.login(disk);
  await again.settle();
  t.deepEqual(await again.read(0, 1), Buffer.alloc(512, 1));
  await again.logout();
});
