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
        from: 'blockIdentity(block, epoch)) === crc;',
        to: 'blockIdentity(block, epoch)) >= 0 || crc === 0;',
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
      { file: 'map/seers.ts', from: 'leafWords] !== this.#address', to: 'leafWords] === 0' },
      { file: 'map/content.ts', from: '      assert.equal(leaf.words[word], from);\n', to: '' },
    ],
  },
  {
    name: 'recovery leaves unmapped blocks mapped',
    finder: 'crash',
    replace: [
      {
        file: 'map/content.ts',
        from: '        this.#replayUnmap(known(epoch, ref), block, count);\n',
        to: '',
      },
    ],
  },
  {
    name: 'a page that changes while a checkpoint runs counts as written',
    finder: 'crash',
    replace: [
      {
        file: 'map/pages.ts',
        from: '    if (page.dirty) return;\n    page.dirty = true;',
        to: '    if (page.dirty || page.pending) return;\n    page.dirty = true;',
      },
    ],
  },
  {
    name: 'a checkpoint has what was changed after it began',
    finder: 'images',
    replace: [
      {
        file: 'map/page.ts',
        from: 'if (this.pending && this.image === null) this.image',
        to: 'if (this.pending && this.words.length === 0) this.image',
      },
    ],
  },
  {
    name: 'a page that a snapshot sees is changed in place',
    finder: 'images',
    replace: [
      {
        file: 'map/trees.ts',
        from: '      if (this.#epochs.alone(epoch, shared.birth, shared.lastLeaf)) return shared;\n',
        to: '      if (shared.level === 1) return shared;\n',
      },
    ],
  },
  {
    name: 'what a snapshot sees is given back when the disk overwrites it',
    finder: 'images',
    replace: [
      {
        file: 'map/content.ts',
        from: 'if (seer === null || birth > seer.number) {',
        to: 'if (seer === null || birth >= seer.number) {',
      },
    ],
  },
  {
    name: 'a removal gives back what the next epoch sees',
    finder: 'images',
    replace: [
      {
        file: 'map/removals.ts',
        from: '      if (other?.words[word] !== address) content.died(address);\n',
        to: '      if (other !== undefined) content.died(address);\n',
      },
    ],
  },
  {
    name: 'a removal gives back what an epoch before sees',
    finder: 'images',
    replace: [
      {
        file: 'map/removals.ts',
        from: '      if (address === 0 || page.words[word + 1]! <= floor) continue;\n',
        to: '      if (address === 0 || page.words[word + 1]! < floor) continue;\n',
      },
    ],
  },
  {
    name: 'a removal passes over the last leaves',
    finder: 'images',
    replace: [
      {
        file: 'map/removals.ts',
        from: '    if (page.birth <= this.floor || other?.id === id) {\n      epoch.cursor',
        to: '    if (page.birth <= this.floor || other?.id === id || index > 3) {\n      epoch.cursor',
      },
    ],
  },
  {
    name: 'a ghost keeps what none of its clones sees any more',
    finder: 'images',
    replace: [
      {
        file: 'map/content.ts',
        from: "        if (seer.state === 'ghost') this.loosened(seer, leaf);\n",
        to: '',
      },
    ],
  },
  {
    name: 'the cleaner tells only one of those who share a block',
    finder: 'images',
    replace: [
      {
        file: 'map/seers.ts',
        from: 'return search.line(start, birth) ? [...search.found] : null;',
        to: 'return search.line(start, birth) ? [...search.found].slice(0, 1) : null;',
      },
    ],
  },
  {
    name: 'a clone is not looked for by the cleaner',
    finder: 'images',
    replace: [
      {
        file: 'map/seers.ts',
        from: '      if (branch.fromEpoch < first || branch.fromEpoch >= until) continue;\n',
        to: '      if (branch.fromEpoch <= first || branch.fromEpoch >= until) continue;\n',
      },
    ],
  },
  {
    name: 'live counts miss the pages that a checkpoint moves',
    finder: 'images',
    replace: [{ file: 'map/checkpoint.ts', from: '    live.move(before, address);\n', to: '' }],
  },
  {
    name: 'a segment that is filled anew keeps its holes of before',
    finder: 'garbage',
    replace: [
      {
        file: 'log/garbage.ts',
        from: '    this.#append(segment * limits.blocksPerSegment);\n',
        to: '',
      },
    ],
  },
  {
    name: 'a free page id is given out twice',
    finder: 'images',
    replace: [
      {
        file: 'map/page-table.ts',
        from: '      this.freeHead = next;\n',
        to: '      void next;\n',
      },
    ],
  },
];
