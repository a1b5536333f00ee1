/**
 * The CLI's words to people: the only place that writes to stdout and stderr. Tables are aligned
 * columns, with a bold head at a terminal and no escape codes in a pipe. What comes from the
 * network (initiator names) is cleared of control characters first.
 */

export type Cell = string | number;

/** One JSON value, indented at a terminal, on one line in a pipe. */
export function printJson(value: unknown): void {
  const indent = process.stdout.isTTY ? 2 : undefined;
  process.stdout.write(`${JSON.stringify(value, null, indent)}\n`);
}

export function printLine(text: string): void {
  process.stdout.write(`${clean(text)}\n`);
}

export function printError(text: string): void {
  process.stderr.write(`petal: ${clean(text)}\n`);
}

/** A word beside the answer, on stderr: stdout carries data. */
export function printNote(text: string): void {
  process.stderr.write(`${clean(text)}\n`);
}

/** A question at a terminal, on stderr: stdout is for the answer of the command. */
export function printPrompt(text: string): void {
  process.stderr.write(text);
}

/** Numbers stand at the right of their column. `empty` is said when there are no rows. */
export function printTable(
  head: readonly string[],
  rows: readonly (readonly Cell[])[],
  empty: string,
): void {
  if (rows.length === 0) {
    printLine(empty);
    return;
  }
  const lines = tableLines(head, rows);
  const bold = process.stdout.isTTY === true;
  const [first = '', ...others] = lines;
  process.stdout.write(`${bold ? `\x1b[1m${first}\x1b[0m` : first}\n`);
  for (const line of others) process.stdout.write(`${line}\n`);
}

/** The head and a line for every row, columns two spaces apart, no spaces at the end. */
export function tableLines(head: readonly string[], rows: readonly (readonly Cell[])[]): string[] {
  const texts = [head, ...rows].map((row) => row.map((cell) => clean(String(cell))));
  const widths = head.map((_, column) => Math.max(...texts.map((row) => row[column]?.length ?? 0)));
  const right = head.map((_, column) => rows.every((row) => typeof row[column] === 'number'));
  return texts.map((row) =>
    row
      .map((text, column) => {
        const width = widths[column] ?? 0;
        return right[column] ? text.padStart(width) : text.padEnd(width);
      })
      .join('  ')
      .trimEnd(),
  );
}

/** Name and value, one pair a line. */
export function printFields(fields: readonly (readonly [string, Cell])[]): void {
  const width = Math.max(...fields.map(([name]) => name.length));
  for (const [name, value] of fields) printLine(`${name.padEnd(width)}  ${value}`);
}

/** `2026-11-21 09:30:00 UTC`, from ISO 8601. */
export function time(iso: string | undefined): string {
  return iso === undefined ? '-' : `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`;
}

function clean(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it removes
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '?');
}
