/** Faults of the store, each breaking one rule of the log or the map. */
import type { Fault } from './plant.ts';

export const faults: readonly Fault[] = [
  {
    name: 'a write is acknowledged before it is durable',
    finder: 'crash',
    replace: [
      {
        file: 'log/writer.ts',
        from: '      this.#underWay.push(group);\n',
        to: '      this.#underWay.push(group);\n      for (const waiter of group.waiters.splice(0)) waiter.complete(null);\n',
      },
    ],
  },
  {
    name: 'groups are acknowledged in the order in which the disk ends them',
    finder: 'crash',
    replace: [
      {
        file: 'log/writer.ts',
        from: '    const told: Waiter[] = [];\n',
        to: '    const told: Waiter[] = group.waiters.splice(0);\n',
      },
    ],
  },
  {
    name: 'a write inside one chunk is cut between two groups',
    finder: 'crash',
    replace: [
      { file: 'map/changes.ts', from: '      if (atomic) writer.together(some);\n', to: '' },
    ],
  },
  {
    name: 'a segment is reused as soon as its last block has died',
    finder: 'reuse',
    replace: [
      {
        file: 'log/segments.ts',
        from: '    this.#dead.add(segment);\n',
        to: '    this.#dead.add(segment);\n    this.#release(segment);\n',
      },
    ],
  },
  {
    name: 'a segment is reused after a checkpoint begun before its last block died',
    finder: 'segments',
    replace: [
      {
        file: 'log/segments.ts',
        from: 'this.#awaits[segment]! <= this.#completed &&',
        to: '',
      },
    ],
  },
  {
    name: 'a block read from disk is not verified',
    finder: 'flip',
    replace: [
      {
        file: 'log/reader.ts',
        from: 'identitySum(head, block % 2 ** 32, ref, 0)) === crc;',
        to: 'identitySum(head, block % 2 ** 32, ref, 0)) >= 0 || crc === 0;',
      },
    ],
  },
  {
    name: 'recovery takes groups of an earlier life of the log',
    finder: 'stale groups',
    replace: [
      {
        file: 'log/scan.ts',
        from: '    if (header.incarnation !== this.#incarnation) return null;\n',
        to: '',
      },
      {
        file: 'log/scan.ts',
        from: ' || header.previous !== this.#previous',
        to: '',
      },
    ],
  },
  {
    name: 'recovery takes a group whose data did not reach the disk',
    finder: 'crash',
    replace: [
      {
        file: 'log/scan.ts',
        from: '    return damaged(this.#here, readEntries(this.#here.words, at * blockWords, header)) === 0;',
        to: '    return true;',
      },
    ],
  },
  {
    name: 'a superblock is written before its checkpoint is durable',
    finder: 'crash',
    replace: [{ file: 'map/checkpoint.ts', from: '    await writer.durable();\n', to: '' }],
  },
  {
    name: 'a checkpoint forgets what was written while it ran',
    finder: 'crash',
    replace: [
      {
        file: 'map/checkpoint.ts',
        from: '      position,\n',
        to: '      position: writer.position(),\n',
      },
    ],
  },
  {
    name: 'the cleaner moves a block that was overwritten',
    finder: 'crash',
    replace: [
      {
        file: 'map/cleaner.ts',
        from: 'if (leaf === null || leaf.words[word] !== address) return;',
        to: 'if (leaf === null || leaf.words[word] === 0) return;',
      },
      {
        file: 'map/cleaner.ts',
        from: 'if (!matches(ref, block, leaf.words[word + 1]!, data, 0)) {',
        to: 'if (data.length === 0) {',
      },
    ],
  },
  {
    name: 'recovery leaves unmapped blocks mapped',
    finder: 'crash',
    replace: [
      { file: 'map/content.ts', from: 'entry.kind === EntryKind.unmap', to: 'entry.count < 0' },
    ],
  },
  {
    name: 'a page that changes while a checkpoint runs counts as written',
    finder: 'crash',
    replace: [
      {
        file: 'map/content.ts',
        from: '    if (!leaf.dirty) this.pages.mark(leaf);\n',
        to: '    if (leaf.address === 0) this.pages.mark(leaf);\n',
      },
    ],
  },
];
