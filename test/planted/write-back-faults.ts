/** Faults of write-back and of the block cache, each breaking one promise of storage/volume/write-back.ts. */
import type { Fault } from './plant.ts';

const finder = 'write-back';

export const writeBackFaults: readonly Fault[] = [
  {
    name: 'a write with FUA is acknowledged before it is durable',
    finder,
    replace: [
      {
        file: 'volume/write-back.ts',
        from: '    if (!durable) {\n',
        to: '    if (!durable || count > 0) {\n',
      },
    ],
  },
  {
    name: 'a flush leaves one chunk out',
    finder,
    replace: [
      {
        file: 'volume/write-back.ts',
        from: 'for (const chunk of chunks.values()) this',
        to: 'for (const chunk of [...chunks.values()].slice(1)) this',
      },
    ],
  },
  {
    name: 'a flush does not wait for what is on its way',
    finder,
    replace: [
      {
        file: 'volume/write-back-flusher.ts',
        from: '    for (const passage of chunk.passages) passage.told.push(join.add());\n',
        to: '',
      },
      {
        file: 'volume/write-back.ts',
        from: 'if (error === null) this.#store.flush(done, ref);',
        to: 'if (error === null) done.complete(null);',
      },
    ],
  },
  {
    name: 'an unmap leaves an older dirty block behind',
    finder,
    replace: [
      {
        file: 'volume/write-back.ts',
        from: 'unmap(ref, block, count, this.#replace(space, block, count, done));',
        to: 'unmap(ref, block, count, done);',
      },
    ],
  },
  {
    name: 'a snapshot does not settle what was accepted before it',
    finder,
    replace: [
      {
        file: 'volume/write-back.ts',
        from: '    await this.settle(refs);\n    const spaces',
        to: '    const spaces',
      },
      {
        file: 'volume/write-back.ts',
        from: '      await this.settle(refs);\n      return await work();',
        to: '      return await work();',
      },
    ],
  },
  {
    name: 'a failing power leaves write-back on',
    finder,
    replace: [
      {
        file: 'volume/write-back.ts',
        from: '  async suspend(): Promise<void> {\n    this.#suspended = true;\n',
        to: '  async suspend(): Promise<void> {\n',
      },
    ],
  },
  {
    name: 'switching write-back off leaves something in memory',
    finder,
    replace: [
      {
        file: 'volume/write-back.ts',
        from: '    await this.settle([ref]);\n    this.#tidy(space);\n',
        to: '    this.#tidy(space);\n',
      },
    ],
  },
  {
    name: 'what was overwritten on its way counts as written',
    finder,
    replace: [
      {
        file: 'volume/write-back-flusher.ts',
        from: 'if (current && replaced) this',
        to: 'if (current) this',
      },
    ],
  },
  {
    name: 'the cache keeps the content of a segment that is filled anew',
    finder: 'cache',
    replace: [
      {
        file: 'log/cache.ts',
        from: '      const slot = this.#remove(address);\n      if (slot === 0)',
        to: '      const slot = 0;\n      if (slot === 0)',
      },
    ],
  },
];
