/**
 * Text negotiation in full-feature phase (RFC 7143 4.3, 11.10, 11.11): SendTargets, and the few keys
 * that may still be declared. One exchange at a time per connection.
 *
 * A request may come in pieces (C bit) and an answer may go in pieces of what the initiator takes:
 * each piece but the last has C, no F and a Target Transfer Tag, with which the initiator asks for
 * the next. Invariant: request text is bounded and has each key once, so the answer is bounded as well;
 * a new exchange ends the one before.
 */
import { type Limits, Rfc7143 } from '../limits.ts';
import { NO_TAG } from '../wire/header.ts';
import { type Pair, readPairs, TextError, type TextRequest, writePairs } from '../wire/text.ts';
import { Answer, Keys, parseNumber } from './keys.ts';

export interface TextOwner {
  /** The targets to tell: all that this initiator may see, or the one named. */
  targets(which: string): readonly Pair[];
  /** MaxRecvDataSegmentLength was declared anew. */
  segmentDeclared(bytes: number): void;
  /** Sends one Text Response. */
  textResponse(tag: number, transferTag: number, continues: boolean, text: Uint8Array): void;
}

const NOTHING = new Uint8Array(0);

export class TextExchange {
  readonly #owner: TextOwner;
  readonly #limits: Limits;
  #parts: Uint8Array[] = [];
  #partBytes = 0;
  #answer: Uint8Array = NOTHING;
  #sent = 0;
  #transferTag = NO_TAG;
  #nextTag = 1;

  constructor(owner: TextOwner, limits: Limits) {
    this.#owner = owner;
    this.#limits = limits;
  }

  /** One request; `pieceBytes`: what one response may carry. False: the request is malformed. */
  receive(request: TextRequest, data: Uint8Array, pieceBytes: number): boolean {
    if (request.transferTag === NO_TAG) this.#clear();
    else if (request.transferTag !== this.#transferTag) return false;
    if (request.continues && request.final) return false;
    this.#partBytes += data.length;
    if (this.#partBytes > this.#limits.textBytes) {
      this.#clear();
      return false;
    }
    if (data.length !== 0) this.#parts.push(new Uint8Array(data));
    if (request.continues) {
      this.#owner.textResponse(request.tag, this.#newTag(), false, NOTHING);
      return true;
    }
    if (this.#parts.length !== 0 && !this.#handle()) return false;
    this.#send(request, pieceBytes);
    return true;
  }

  #handle(): boolean {
    try {
      const pairs = readPairs(Buffer.concat(this.#parts), Rfc7143);
      // RFC 7143 6.2 has each key once; 4096 SendTargets would get as many lists for one request.
      if (new Set(pairs.map(([key]) => key)).size !== pairs.length) {
        this.#clear();
        return false;
      }
      this.#parts = [];
      this.#partBytes = 0;
      this.#answer = writePairs(pairs.flatMap(([key, value]) => this.#reply(key, value)));
      this.#sent = 0;
      return true;
    } catch (error) {
      if (!(error instanceof TextError)) throw error;
      this.#clear();
      return false;
    }
  }

  #reply(key: string, value: string): readonly Pair[] {
    if (key === 'SendTargets') return this.#owner.targets(value);
    const row = Object.hasOwn(Keys, key) ? Keys[key]! : null;
    if (row === null) return [[key, Answer.notUnderstood]];
    if (key === 'MaxRecvDataSegmentLength') return this.#segment(value);
    return row.when === 'any' ? [] : [[key, Answer.reject]];
  }

  #segment(value: string): readonly Pair[] {
    const bytes = parseNumber(value);
    const [low, high] = Keys.MaxRecvDataSegmentLength!.range!;
    if (bytes === null || bytes < low || bytes > high) {
      return [['MaxRecvDataSegmentLength', Answer.reject]];
    }
    this.#owner.segmentDeclared(bytes);
    return [];
  }

  #send(request: TextRequest, pieceBytes: number): void {
    const end = Math.min(this.#sent + pieceBytes, this.#answer.length);
    const piece = this.#answer.subarray(this.#sent, end);
    this.#sent = end;
    const continues = end < this.#answer.length;
    const last = !continues && request.final;
    this.#owner.textResponse(request.tag, last ? NO_TAG : this.#newTag(), continues, piece);
    if (last) this.#clear();
  }

  #newTag(): number {
    this.#transferTag = this.#nextTag;
    this.#nextTag = (this.#nextTag % 0x7fff_ffff) + 1;
    return this.#transferTag;
  }

  #clear(): void {
    this.#parts = [];
    this.#partBytes = 0;
    this.#answer = NOTHING;
    this.#sent = 0;
    this.#transferTag = NO_TAG;
  }
}
