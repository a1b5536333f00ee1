/** Each failure of a device reaches the initiator as the status and sense that name it. */
import test from 'ava';
import { DeviceError, DeviceErrorCode } from '../../../target/scsi/device.ts';
import { verdict, World } from './kit.ts';

const expected: Record<DeviceErrorCode, string> = {
  mediumError: '02 03/1100',
  writeError: '02 03/0c00',
  noSpace: '02 07/2707',
  readOnly: '02 07/2700',
  busy: '08',
  miscompare: '02 0e/1d00',
  failed: '02 04/4400',
};

/** One command for each way a device is called: by the transport, by a job, by a single call. */
const commands: readonly (readonly [string, string, number])[] = [
  ['READ(10)', '28 00 00000000 00 0001', 0],
  ['WRITE(10)', '2a 00 00000000 00 0001', 512],
  ['VERIFY(10)', '2f 00 00000000 00 0001', 0],
  ['SYNCHRONIZE CACHE(10)', '35', 0],
  ['WRITE SAME(10)', '41 00 00000000 00 0001', 512],
  ['WRITE AND VERIFY(10)', '2e 00 00000000 00 0001', 512],
  ['COMPARE AND WRITE', '89 00 0000000000000000 000000 01', 1024],
  ['START STOP UNIT', '1b', 0],
];

for (const [name, bytes, out] of commands) {
  for (const code of Object.values(DeviceErrorCode)) {
    test(`${name}, ${code}`, async (t) => {
      const world = new World();
      await world.attach(world.a);
      world.device.behaviour.fail = new DeviceError(code, 'planted');
      const options = out === 0 ? {} : { out: new Uint8Array(out) };
      t.is(verdict(await world.run(bytes, options)), expected[code]);
      t.is(verdict(await world.run(bytes, options)), '00', 'and the next one is well again');
    });
  }
}
