/** The lines between guest and host arrive whole however the serial port cuts them. */
import test from 'ava';
import fc from 'fast-check';
import { formatReply, LineSplitter, parseLine } from './wire.ts';

const ask = (words: readonly string[]): string =>
  `ask ${Buffer.from(words.map((word) => `${word}\0`).join('')).toString('base64')}`;

test('words of an ask come as they were said', (t) => {
  const word = fc.string({ unit: 'binary', minLength: 0 }).filter((text) => !text.includes('\0'));
  fc.assert(
    fc.property(fc.array(word, { minLength: 1 }), (words) => {
      t.deepEqual(parseLine(ask(words)), { kind: 'ask', words });
    }),
  );
});

test('a line cut at any byte is the same line', (t) => {
  const text = `${ask(['resize', '2G'])}\nexit 7\r\n`;
  for (let at = 0; at <= text.length; at++) {
    const splitter = new LineSplitter();
    const lines = [...splitter.push(text.slice(0, at)), ...splitter.push(text.slice(at))];
    t.deepEqual(lines.map(parseLine), [
      { kind: 'ask', words: ['resize', '2G'] },
      { kind: 'exit', status: 7 },
    ]);
  }
});

test('what is no line of ours is refused, not passed over', (t) => {
  for (const line of ['', 'exit', 'exit x', 'exit 1000', 'ask', 'ask a b', 'Kernel panic']) {
    t.throws(() => parseLine(line), { message: /no line of ours/ }, line);
  }
});

test('a line without end is refused before it fills the memory', (t) => {
  const splitter = new LineSplitter();
  t.throws(() => {
    for (let i = 0; i < 100; i++) splitter.push('x'.repeat(1000));
  });
});

test('a reply is one line that a terminal takes at once', (t) => {
  for (const text of ['', 'short\nlines\n', 'é'.repeat(10_000)]) {
    const reply = formatReply(1, text);
    t.regex(reply, /^reply 1 [A-Za-z0-9+/=]*\n$/);
    t.true(reply.length < 4095);
  }
});
