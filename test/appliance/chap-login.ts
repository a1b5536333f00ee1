/**
 * A login by CHAP for tests (RFC 7143 12.1.3, RFC 1994), written from the texts and not from ours:
 * AuthMethod, CHAP_A=5 (MD5), CHAP_N and CHAP_R, then the operational stage. It ends in full feature
 * phase or with the status that the target gave.
 */
import { createHash } from 'node:crypto';
import { LoginRefused, loginRequest, randomIsid } from '#test/kit/login.ts';
import { decodeKeys, encodeKeys, type Pdu } from '#test/kit/pdu.ts';
import { Wire } from '#test/kit/wire.ts';

export interface ChapLogin {
  readonly port: number;
  readonly host?: string;
  readonly initiator?: string;
  /** Left out: a discovery session. */
  readonly target?: string;
  readonly user: string;
  readonly secret: string;
}

const SECURITY = 0;
const OPERATIONAL = 1;
const FULL = 3;

/** The open connection; LoginRefused otherwise. */
export async function logInByChap(options: ChapLogin): Promise<Wire> {
  const wire = await Wire.connect(options.port, options.host);
  try {
    await talk(wire, options);
    return wire;
  } catch (error) {
    wire.close();
    throw error;
  }
}

async function talk(wire: Wire, options: ChapLogin): Promise<void> {
  const isid = randomIsid();
  let statSn = 0;
  const say = async (from: number, to: number | null, keys: Record<string, string>) => {
    const stage = { from, to: to ?? 0, transit: to !== null };
    const request = { isid, cmdSn: 1, expStatSn: statSn, data: encodeKeys(keys) };
    wire.send(loginRequest(stage, request));
    const pdu: Pdu = await wire.receive(10_000);
    const [statusClass = 0, statusDetail = 0] = pdu.header.subarray(36, 38);
    if (statusClass !== 0) throw new LoginRefused(statusClass, statusDetail);
    statSn = (pdu.header.readUInt32BE(24) + 1) >>> 0;
    return new Map(decodeKeys(pdu.data));
  };
  const { initiator = 'iqn.2026-11.com.example:chap', target, user, secret } = options;
  await say(SECURITY, null, {
    InitiatorName: initiator,
    SessionType: target === undefined ? 'Discovery' : 'Normal',
    ...(target === undefined ? {} : { TargetName: target }),
    AuthMethod: 'CHAP',
  });
  const asked = await say(SECURITY, null, { CHAP_A: '5' });
  const response = createHash('md5')
    .update(Uint8Array.of(Number(asked.get('CHAP_I'))))
    .update(secret)
    .update(Buffer.from((asked.get('CHAP_C') ?? '').slice(2), 'hex'))
    .digest('hex');
  await say(SECURITY, OPERATIONAL, { CHAP_N: user, CHAP_R: `0x${response}` });
  await say(OPERATIONAL, FULL, {});
}
