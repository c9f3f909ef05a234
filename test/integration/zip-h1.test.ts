// Larder's check of module zips beside the real golang.org/x/mod: the same zips to both, the same verdicts and hashes.

import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { LarderError } from '../../src/engine/errors.ts';
import { checkZip } from '../../src/go/zip-check.ts';
import { buildGoTool } from '../support/go-tool.ts';
import { file, goMod, inModule, MODULE, oddZips, VERSION } from '../support/odd-zips.ts';
import { tempDir } from '../support/tmp.ts';
import { writeZip } from '../support/zip.ts';

/** Rules of Larder's own, against crafted zips. */
const STRICTER = /share bytes|negative|entry ".*\/": its local header/;

interface GoAnswer {
  readonly h1?: string;
  readonly error?: string;
}

let xzip: string;

async function askGo(zips: readonly Buffer[]): Promise<GoAnswer[]> {
  const dir = tempDir();
  const lines = zips.map((bytes, at) => {
    const name = path.join(dir, `${String(at)}.zip`);
    writeFileSync(name, bytes);
    return JSON.stringify({ Path: name, Module: MODULE, Version: VERSION });
  });
  const child = execFile(xzip, { env: { ...process.env, TMPDIR: dir } });
  if (child.stdin === null || child.stdout === null) throw new Error('xzip has no pipes');
  child.stdin.end(lines.join('\n'));
  const answers = (await text(child.stdout)).trimEnd().split('\n');
  expect(answers).toHaveLength(zips.length);
  return answers.map((line) => JSON.parse(line) as GoAnswer);
}

const h1OrRefusal = (bytes: Buffer): Promise<string | LarderError> =>
  checkZip({ source: { bytes }, size: bytes.length, module: MODULE, version: VERSION }).then(
    ({ h1 }) => h1,
    (error: unknown) => {
      if (error instanceof LarderError && error.code === 'bad_content') return error;
      throw error;
    },
  );

beforeAll(async () => {
  xzip = await buildGoTool('xzip');
}, 120_000);

describe('x/mod and Larder agree', () => {
  it('on every odd zip of the table', async () => {
    const zips = oddZips();
    const answers = await askGo(zips.map(({ bytes }) => bytes));
    for (const [at, { title, bytes, refused, strict }] of zips.entries()) {
      const { h1, error } = answers[at] ?? {};
      expect(error === undefined, `${title}: x/mod says ${String(error)}`).toBe(
        refused === undefined || strict === true,
      );
      const ours = await h1OrRefusal(bytes);
      if (refused === undefined) expect(ours, title).toBe(h1);
      else expect(ours, title).toBeInstanceOf(LarderError);
    }
  });

  it('on 1,500 zips with something broken in them', async () => {
    const seeds = [
      writeZip([
        goMod,
        file('a/b.go'),
        { name: inModule('a/') },
        file('c', { descriptor: 'bare' }),
      ]),
      writeZip([goMod, file('a', { zip64: true }), file('LICENSE', { method: 0 })], {
        zip64: true,
        comment: 'a comment',
      }),
      writeZip([file('A/ü.go'), file('b', { descriptor: 'signed' })], { before: Buffer.from('x') }),
    ];
    // What is at the end decides the most: half of the lies are told there.
    const offset = fc.oneof(fc.nat(), fc.integer({ min: -150, max: -1 }));
    const value = fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 0x50, 0xff));
    const lies = fc.array(fc.record({ offset, value, length: fc.constantFrom(1, 1, 2, 4) }), {
      minLength: 1,
      maxLength: 3,
    });
    const broken = fc
      .record({ seed: fc.constantFrom(...seeds), lies })
      .map(({ seed, lies: told }) => {
        const bytes = Buffer.from(seed);
        for (const { offset: from, value: byte, length } of told) {
          const at = from < 0 ? bytes.length + from : from % bytes.length;
          bytes.fill(byte, at, Math.min(at + length, bytes.length));
        }
        return bytes;
      });
    const zips = fc.sample(broken, { numRuns: 1500, seed: 20_260_801 });
    const answers = await askGo(zips);
    let takenByGo = 0;
    for (const [at, bytes] of zips.entries()) {
      const { h1, error } = answers[at] ?? {};
      const ours = await h1OrRefusal(bytes);
      if (typeof ours === 'string') expect(error, `zip ${String(at)}`).toBeUndefined();
      if (error !== undefined) continue;
      takenByGo++;
      if (typeof ours !== 'string' && STRICTER.test(ours.message)) continue;
      expect(ours, `zip ${String(at)}`).toBe(h1);
    }
    // neither all nor none, or nothing was compared
    expect(takenByGo).toBeGreaterThan(50);
    expect(takenByGo).toBeLessThan(1400);
  });
});
