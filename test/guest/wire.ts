/**
 * The lines between a guest and its host on the second serial port (see root/guest-init, root/host):
 *
 *   guest ▸ host   ask BASE64        words, each NUL-ended: "resize\0" "2G\0"
 *   host ▸ guest   reply STATUS BASE64    STATUS 0 done, 1 failed; the text is printed by `host`
 *   guest ▸ host   exit STATUS       the last line; its absence means that the guest died
 */

export type GuestLine =
  | { readonly kind: 'ask'; readonly words: readonly string[] }
  | { readonly kind: 'exit'; readonly status: number };

/** Keeps a reply below the 4095 bytes that the guest's terminal holds unread. */
const REPLY_BYTES_MAX = 2_900;
/** A guest that sends no line end is broken; what it sent is not kept for ever. */
const LINE_CHARS_MAX = 65_536;

/** Throws with the line when it is neither. */
export function parseLine(line: string): GuestLine {
  const ask = /^ask ([A-Za-z0-9+/=]+)$/.exec(line);
  if (ask?.[1] !== undefined) {
    const words = Buffer.from(ask[1], 'base64').toString('utf8').split('\0');
    words.pop();
    return { kind: 'ask', words };
  }
  const exit = /^exit (\d{1,3})$/.exec(line);
  if (exit?.[1] !== undefined) return { kind: 'exit', status: Number(exit[1]) };
  throw new Error(`the guest said what is no line of ours: ${JSON.stringify(line)}`);
}

/** One line; a text that is too long loses its end. */
export function formatReply(status: 0 | 1, text: string): string {
  const bytes = Buffer.from(text, 'utf8').subarray(0, REPLY_BYTES_MAX);
  return `reply ${status} ${bytes.toString('base64')}\n`;
}

/** Cuts a byte stream into lines; keeps the unfinished rest for the next piece. */
export class LineSplitter {
  #rest = '';

  push(text: string): string[] {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    if (this.#rest.length > LINE_CHARS_MAX) throw new Error('the guest sends a line without end');
    return lines.map((line) => line.replace(/\r$/, '')).filter((line) => line !== '');
  }
}
