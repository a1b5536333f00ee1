/**
 * Makes docs/supported-commands.md from the dispatch table, so that the page cannot say what the
 * code does not do.
 *
 *   node test/tools/supported-commands.ts            the page on standard output
 *   node test/tools/supported-commands.ts --write    into docs/
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Access, type Command } from '../../target/scsi/command.ts';
import { commands } from '../../target/scsi/dispatch.ts';
import type { LogicalUnit } from '../../target/scsi/logical-unit.ts';
import { Transfer } from '../../target/scsi/task.ts';
import { root } from '../kit/tree.ts';

export const pagePath = join(root, 'docs', 'supported-commands.md');

const intro = `# Supported SCSI commands

Made from the dispatch table of \`target/scsi/dispatch.ts\` by \`node test/tools/supported-commands.ts --write\`;
a test fails when the two differ. A host gets the same from REPORT SUPPORTED OPERATION CODES. What is not here
ends with CHECK CONDITION, INVALID COMMAND OPERATION CODE; a reserved bit that is set, with INVALID FIELD IN CDB.

- **Code**: operation code and, behind the slash, service action.
- **Data**: where it goes, seen from the host: \`in\`, \`out\`, or none. *medium* is the data of the disk itself.
- **Reservation**: what another initiator's persistent reservation does to the command (SPC-4 table 65, SBC-3
  table 13). *never* conflicts; *exclusive* conflicts with the exclusive access types; *any* with every type.
- **Legacy**: runs although another initiator holds an SPC-2 RESERVE.
- **Attention**: runs although a unit attention is pending (SAM-5 5.14.1), which stays pending or is told in its data.
- **Read-only**: what a unit that is write-protected, or an initiator that may only read, gets. *refused* where the
  medium would change; *refused to readers* where what all initiators share would change.
- **Sanitize**: runs while a sanitize operation does (SBC-3 4.11.2).
- **Where**: offered only by units of this kind.

`;

const columns = [
  'Code',
  'Command',
  'CDB',
  'Data',
  'Reservation',
  'Legacy',
  'Attention',
  'Read-only',
  'Sanitize',
  'Where',
  'Source',
] as const;

const dataOf: Readonly<Record<Transfer, string>> = {
  [Transfer.none]: '',
  [Transfer.read]: 'medium in',
  [Transfer.write]: 'medium out',
  [Transfer.out]: 'out',
  [Transfer.in]: 'in',
};
const reservationOf: Readonly<Record<Access, string>> = {
  [Access.always]: 'never',
  [Access.read]: 'exclusive',
  [Access.write]: 'any',
};

/** The whole page. Throws when a row is offered only somewhere and none of `kinds` explains where. */
export function page(): string {
  const rows = commands.map((command) => line(cells(command)));
  const head = [line(columns), line(columns.map(() => '---'))];
  return `${intro}${[...head, ...rows].join('\n')}\n\n${commands.length} commands.\n`;
}

function cells(command: Command): string[] {
  const protection = command.writes ? 'refused' : command.alters ? 'refused to readers' : '';
  return [
    `\`${hex(command.opcode)}${command.action === null ? '' : `/${hex(command.action)}`}\``,
    command.name,
    String(command.usage.length),
    dataOf[command.transfer],
    command.accessOf === null ? reservationOf[command.access] : 'by its fields',
    yes(command.whileReserved),
    yes(command.attentionExempt),
    protection,
    yes(command.whileSanitizing),
    where(command),
    command.source,
  ];
}

const line = (texts: readonly string[]): string => `| ${texts.join(' | ')} |`;
const hex = (byte: number): string => byte.toString(16).padStart(2, '0');
const yes = (is: boolean): string => (is ? 'yes' : '');

interface Kind {
  readonly name: string;
  readonly capabilities?: object;
  readonly alua?: object;
}
/** What a unit can be that makes it offer more than the plainest one does. */
const kinds: readonly Kind[] = [
  { name: 'thin', capabilities: { thin: true } },
  { name: 'atomic writes', capabilities: { atomicBytes: 65_536 } },
  { name: 'removable', capabilities: { removable: true } },
  { name: 'sanitize allowed', capabilities: { sanitize: true } },
  { name: 'cryptographic erase', capabilities: { sanitize: true, cryptographicErase: true } },
  { name: 'states can be set (ALUA)', alua: { set: () => {} } },
];

function where(command: Command): string {
  const { supported } = command;
  if (supported === null || supported(unit({ name: 'plain' }))) return '';
  const found = kinds.filter((kind) => supported(unit(kind)));
  if (found.length === 0) throw new Error(`${command.name}: no kind of unit offers it`);
  // The first is the plainest that will do; those behind it that say more do not count.
  return found[0]!.name;
}

/** As much of a unit as the questions of the table look at. */
function unit(kind: Kind): LogicalUnit {
  const capabilities = {
    readOnly: false,
    thin: false,
    unmapGranularity: 4096,
    writeBack: false,
    removable: false,
    solidState: true,
    sanitize: false,
    atomicBytes: 0,
    ...kind.capabilities,
  };
  const made = { device: { sectorBytes: 512, capabilities }, target: { alua: kind.alua ?? {} } };
  return made as unknown as LogicalUnit;
}

if (import.meta.main) {
  if (process.argv[2] === '--write') writeFileSync(pagePath, page());
  else process.stdout.write(page());
}
