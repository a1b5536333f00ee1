/**
 * A thousand lives of sessions from a seed: login, reads, writes, aborts, resets, logouts, broken
 * connections and logins that replace them, in any order, while a device answers when it likes.
 * Afterwards no memory, no task and no session is left, and the dead were told nothing.
 */
import test from 'ava';
import { SeededRandom } from '../../kit/random.ts';
import { HeldDevice, Host, INITIATOR, pdu, rw10, world } from './kit.ts';

const LIVES = 1000;
const SECTORS = 256;
const KEYS = { InitialR2T: 'No', FirstBurstLength: '65536', MaxOutstandingR2T: '2' };

interface Life {
  readonly host: Host;
  readonly tags: number[];
  /** Of R2Ts that came and were not answered yet. */
  readonly asked: { tag: number; transferTag: number; offset: number; length: number }[];
}

const acts = {
  write(life: Life, random: SeededRandom) {
    const length = 512 * random.between(1, 64);
    const immediate = Math.min(length, 512 * random.below(3));
    life.tags.push(
      life.host.command(rw10(0x2a, random.below(SECTORS - 64), length / 512), {
        // Some promise unsolicited data that never comes.
        flags: random.chance(0.3) && immediate < length ? 0x21 : 0xa1,
        length,
        data: Buffer.alloc(immediate, 1),
      }),
    );
  },
  read(life: Life, random: SeededRandom) {
    const blocks = random.between(1, 64);
    const cdb = rw10(0x28, random.below(SECTORS - 64), blocks);
    life.tags.push(life.host.command(cdb, { read: true, length: 512 * blocks }));
  },
  data(life: Life, random: SeededRandom) {
    const asked = life.asked.shift();
    if (asked === undefined) return;
    const cut = random.chance(0.2) ? random.below(asked.length) : asked.length;
    const { tag, transferTag, offset } = asked;
    life.host.dataOut(
      tag,
      transferTag,
      0,
      offset,
      Buffer.alloc(cut, 2),
      cut === asked.length ? 0x80 : 0,
    );
  },
  half(life: Life, random: SeededRandom) {
    // A piece of a PDU, and its rest or not: what a connection breaks in the middle of.
    const whole = pdu(0x01, {
      flags: 0xa1,
      tag: life.host.tag++,
      w20: 512,
      w24: life.host.cmdSn,
      cdb: rw10(0x2a, 0, 1),
      data: Buffer.alloc(512),
    });
    const at = random.below(whole.length);
    life.host.send(whole.subarray(0, at));
    life.host.cmdSn++;
    if (random.chance(0.7)) life.host.send(whole.subarray(at));
  },
  abort(life: Life, random: SeededRandom) {
    if (life.tags.length !== 0) life.host.taskManagement(1, random.pick(life.tags));
  },
  manage(life: Life, random: SeededRandom) {
    life.host.taskManagement(random.pick([2, 4, 5, 6, 7]));
  },
  reserve(life: Life, random: SeededRandom) {
    life.host.command(
      Buffer.from(
        random.pick(['160000000000', '170000000000', '350000000000']).padEnd(32, '0'),
        'hex',
      ),
    );
  },
  logout(life: Life) {
    life.host.send(pdu(0x46, { flags: 0x80, tag: life.host.tag++, w24: life.host.cmdSn }));
  },
} as const;
const often = [
  'write',
  'write',
  'write',
  'read',
  'read',
  'data',
  'data',
  'data',
  'abort',
  'half',
  'reserve',
] as const;
const seldom = ['manage', 'logout', 'half'] as const;

/** What came: R2Ts are kept, and everything is a PDU of a target. */
async function hear(life: Life): Promise<void> {
  for (const reply of await life.host.receive()) {
    if ((reply.op & 0x20) === 0) throw new Error(`opcode ${reply.op}`);
    if (reply.op !== 0x31) continue;
    life.asked.push({
      tag: reply.tag,
      transferTag: reply.head.readUInt32BE(20),
      offset: reply.head.readUInt32BE(40),
      length: reply.head.readUInt32BE(44),
    });
  }
}

for (const seed of [1, 2, 3, 4]) {
  test(`${LIVES / 4} sessions from seed ${seed}`, async (t) => {
    const random = new SeededRandom(seed);
    const device = new HeldDevice({ bytes: SECTORS * 512 });
    const { server, clock } = world({}, device);
    const slots: (Life | null)[] = [null, null, null];
    const dead: Host[] = [];
    const bury = (life: Life | null): void => {
      if (life === null) return;
      life.host.stream.drain();
      dead.push(life.host);
    };
    for (let born = 0; born < LIVES / 4; ) {
      const slot = random.below(slots.length);
      let life = slots[slot]!;
      if (life === null || life.host.stream.ended !== null || random.chance(0.02)) {
        // Over the live one, over a broken one, or over one that still ends.
        if (life !== null && random.chance(0.5)) life.host.handler.closed();
        const host = new Host(server);
        await host.login({ ...KEYS, InitiatorName: `${INITIATOR}-${slot}` });
        bury(life);
        life = { host, tags: [], asked: [] };
        slots[slot] = life;
        born++;
      }
      device.holdReads = random.chance(0.5);
      device.holdWrites = random.chance(0.5);
      const act = random.chance(0.04) ? random.pick(seldom) : random.pick(often);
      acts[act](life, random);
      if (random.chance(0.4)) device.release();
      if (random.chance(0.03)) {
        bury(life);
        life.host.handler.closed();
        slots[slot] = null;
      } else if (random.chance(0.6)) await hear(life);
      if (random.chance(0.05)) clock.advance(random.pick([10, 500, 5_000]));
    }
    for (const life of slots) {
      if (life === null) continue;
      bury(life);
      life.host.handler.closed();
    }
    device.holdReads = false;
    device.holdWrites = false;
    for (let turn = 0; turn < 20; turn++) {
      device.releaseAll();
      await new Promise((resolve) => setImmediate(resolve));
      clock.advance(5_000);
    }
    t.deepEqual(server.sessions(), []);
    t.is(server.budget.used, 0);
    t.is(device.waiting, 0);
    t.true(device.log.length > 20, `${device.log.length} writes came through`);
    for (const host of dead) t.is(host.stream.drain().length, 0, 'the dead are told nothing');
    // Nothing holds the next one back: no fence, no reservation of the dead, no window that is shut.
    const next = new Host(server);
    await next.enter({ InitiatorName: `${INITIATOR}-0` });
    next.command(Buffer.from('00'.repeat(16), 'hex'));
    next.command(rw10(0x2a, 0, 1), { write: true, length: 512, data: Buffer.alloc(512, 7) });
    const replies = await next.receive();
    t.is(replies.at(-1)?.byte3, 0);
    t.is(server.budget.used, 0);
  });
}
