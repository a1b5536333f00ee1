/**
 * A host that asks for 64 MiB and takes nothing costs at most 8 MiB, and all of it comes back.
 *
 * Counted here is what buffers the process has (memoryUsage().arrayBuffers after a collection): exact,
 * and nothing hides in it, neither in what the pools keep idle nor behind the accounting of the server.
 * The same of a daemon as a whole, with the kernel and the heap: test/initiator/resources.test.ts.
 */
import test from 'ava';
import {
  type ByteStream,
  type Completion,
  defaultLimits,
  RamDevice,
  type StreamHandler,
} from '../../../target/index.ts';
import { heldAfterCollection } from '../../kit/memory.ts';
import { INITIATOR, MIB, NAME, pdu, rw10, text, type World, world } from './kit.ts';

const READS = 64;
const COST_BYTES = 8 * MIB;
/** Headers, sense and the like of the test itself. */
const NOISE_BYTES = MIB / 4;

async function bufferBytes(): Promise<number> {
  return (await heldAfterCollection()).buffers;
}

/** Takes nothing until told, and keeps what it is given as it is: no copy that would be counted. */
class SlowStream implements ByteStream {
  readonly remoteAddress = '192.0.2.9';
  readonly remotePort = 40000;
  readonly localAddress = '192.0.2.1';
  readonly localPort = 3260;
  slow = false;
  taken = 0;
  readonly #waiting: { length: number; parts: Uint8Array[]; done: () => void }[] = [];

  write(bytes: Uint8Array, done: () => void): boolean {
    return this.writeAll([bytes], done);
  }
  writeAll(parts: readonly Uint8Array[], done: () => void): boolean {
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    if (!this.slow) {
      this.taken += length;
      return true;
    }
    this.#waiting.push({ length, parts: [...parts], done });
    return false;
  }
  get held(): number {
    return this.#waiting.reduce((sum, { length }) => sum + length, 0);
  }
  take(): boolean {
    const next = this.#waiting.shift();
    if (next === undefined) return false;
    this.taken += next.length;
    next.done();
    return true;
  }
  pause(): void {}
  resume(): void {}
  end(): void {}
  /** As a socket does: whoever waits for a write hears that it is over. */
  destroy(): void {
    while (this.take());
  }
}

/** Never has data at hand: every read is answered a turn of the event loop later. */
class LaterDevice extends RamDevice {
  override readNow(): boolean {
    return false;
  }
  override read(at: number, length: number, into: Uint8Array, to: number, done: Completion): void {
    setImmediate(() => {
      super.readNow(at, length, into, to);
      done.complete(null);
    });
  }
}

interface Slow {
  stream: SlowStream;
  handler: StreamHandler;
}

/** Logs in, and asks for everything without taking any of it. */
async function slowReader({ server }: World, isid: number): Promise<Slow> {
  const stream = new SlowStream();
  const handler = server.accept(stream)!;
  const send = (bytes: Buffer): void => handler.received(bytes, bytes.length);
  const data = text({ InitiatorName: INITIATOR, SessionType: 'Normal', TargetName: NAME });
  const login = pdu(0x43, { flags: 0x87, tag: 1, w24: 1, data });
  login.writeUInt32BE(0x80000000 + isid, 8);
  send(login);
  // The unit attention of a new nexus.
  send(pdu(0x01, { flags: 0x81, tag: 2, w24: 1, cdb: Buffer.alloc(16) }));
  await new Promise((resolve) => setImmediate(resolve));
  stream.slow = true;
  stream.taken = 0;
  for (let index = 0; index < READS; index++) {
    const cdb = rw10(0x28, (index * MIB) / 512, MIB / 512);
    send(pdu(0x01, { flags: 0xc1, tag: 100 + index, w20: MIB, w24: 2 + index, cdb }));
  }
  // Whatever the device still has to say.
  for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
  return { stream, handler };
}

function device(Kind: typeof RamDevice): RamDevice {
  const made = new Kind({ bytes: READS * MIB });
  // Real data, so that nothing about the replies is free.
  for (let at = 0; at < READS; at++) {
    made.write(at * MIB, Buffer.alloc(MIB, at + 1), false, { complete: () => {} });
  }
  return made;
}

const kinds: [string, typeof RamDevice][] = [
  ['data at hand', RamDevice],
  ['data that comes later', LaterDevice],
];

for (const [name, Kind] of kinds) {
  test.serial(`64 MiB of reads that nobody takes, ${name}`, async (t) => {
    const all = world({}, device(Kind) as never);
    const start = await bufferBytes();
    const growth = async (): Promise<number> => (await bufferBytes()) - start;

    let kept = 0;
    for (let round = 1; round <= 4; round++) {
      const { stream, handler } = await slowReader(all, round);
      const cost = await growth();
      t.true(cost <= COST_BYTES, `round ${round} costs ${cost} bytes`);
      t.true(stream.held >= defaultLimits.heldBytes / 2, 'and much is on its way');
      t.true(stream.held <= defaultLimits.heldBytes + 2 * defaultLimits.arenaBytes);

      if (round % 2 === 1) {
        // Slowness is no error: it gets everything.
        while (stream.taken < READS * MIB) {
          if (!stream.take()) await new Promise((resolve) => setImmediate(resolve));
        }
      } else {
        stream.destroy();
      }
      handler.closed();
      const after = await growth();
      // What the pools keep for the next one is bounded by the cost, and no round adds to it.
      t.true(after <= COST_BYTES, `after round ${round}: ${after} bytes`);
      if (round > 1) t.true(after <= kept + NOISE_BYTES, `${after} after ${kept}`);
      kept = Math.max(kept, after);
    }
    t.is(all.server.budget.used, 0);
  });
}
