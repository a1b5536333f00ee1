/**
 * The first message of each side: which versions of the protocol it speaks. The highest that both
 * speak is used, so that a cluster is upgraded one server at a time. Servers of all times read this
 * body: what is added to it goes to the end, and what is there and not known is ignored.
 *
 *   0  2  lowest version
 *   2  2  highest version
 *   4  2  calls that it works on at once for the other side
 *   6  4  bytes of their payloads, answers included
 *  10  8  incarnation: chance, drawn when the server started
 *  18  4  the opener: number of this opening of a channel to the other side, from 1; else 0
 *  22  4  highest opening by the other side that was ready here
 */

import { StorageError } from '../base/errors.ts';
import type { Reader, Writer } from './bytes.ts';
import { RpcError } from './failure.ts';

export interface Versions {
  readonly least: number;
  readonly most: number;
}

export interface Hello extends Versions {
  readonly calls: number;
  readonly callBytes: number;
  readonly incarnation: bigint;
  readonly opening: number;
  readonly seen: number;
}

export function writeHello(to: Writer, hello: Hello): void {
  to.u16(hello.least);
  to.u16(hello.most);
  to.u16(hello.calls);
  to.u32(hello.callBytes);
  to.u64(hello.incarnation);
  to.u32(hello.opening);
  to.u32(hello.seen);
}

/** CORRUPT. */
export function readHello(from: Reader): Hello {
  const [least, most] = [from.u16(), from.u16()];
  const [calls, callBytes] = [from.u16(), from.u32()];
  if (least < 1 || most < least || calls < 1 || callBytes < 1) {
    throw new StorageError('CORRUPT', `versions ${least}–${most}, ${calls} calls`);
  }
  const incarnation = from.u64();
  return { least, most, calls, callBytes, incarnation, opening: from.u32(), seen: from.u32() };
}

/** The version that two sides speak; an error when there is none. */
export function common(ours: Versions, theirs: Versions): number | RpcError {
  const version = Math.min(ours.most, theirs.most);
  if (version >= Math.max(ours.least, theirs.least)) return version;
  const said = `this side speaks versions ${ours.least}–${ours.most} of the protocol between servers`;
  const other = `the other side ${theirs.least}–${theirs.most}`;
  return new RpcError('version', false, `${said}, ${other}: upgrade the older one`);
}
