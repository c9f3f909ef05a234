// The pool that checks zips on threads of its own.

import { execFile } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { createWriteStream, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { deflateRawSync } from 'node:zlib';
import type { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { checkZip, type ZipCheckRequest } from '../../src/go/zip-check.ts';
import { ZipChecker } from '../../src/go/zip-checker.ts';
import { Body } from '../support/body.ts';
import { file, goMod, inModule, MODULE, VERSION } from '../support/odd-zips.ts';
import { atEnd, eventually, tempDir } from '../support/tmp.ts';
import { zipOf } from '../support/zip-body.ts';
import { writeZip } from '../support/zip.ts';

const MIB = 1024 * 1024;

const checker = (workers?: number): ZipChecker => {
  const pool = new ZipChecker(workers === undefined ? {} : { workers });
  atEnd(() => pool.close());
  return pool;
};

function request(bytes: Uint8Array): ZipCheckRequest {
  const name = path.join(tempDir(), 'm.zip');
  writeFileSync(name, bytes);
  return { source: { path: name }, size: bytes.length, module: MODULE, version: VERSION };
}

const zeros = Buffer.alloc(16 * MIB);
const packedZeros = deflateRawSync(zeros, { level: 1 });
/** Takes a thread some tenths of a second. */
const large = (): Buffer =>
  writeZip([
    goMod,
    ...Array.from({ length: 6 }, (_, at) =>
      file(String(at), { content: zeros, packed: packedZeros }),
    ),
  ]);

/** The threads that are started while the test runs. */
function startedThreads(): Worker[] {
  const threads: Worker[] = [];
  const started = (message: unknown): void => {
    threads.push((message as { worker: Worker }).worker);
  };
  subscribe('worker_threads', started);
  atEnd(() => unsubscribe('worker_threads', started));
  return threads;
}

describe('checks on threads', () => {
  it('come to what the check comes to, from a file and from memory', async () => {
    const pool = checker();
    const bytes = writeZip([goMod, file('big', { content: Buffer.alloc(300_000, 'big') })]);
    const asked = request(bytes);
    const expected = await checkZip(asked);
    await expect(pool.check(asked)).resolves.toEqual(expected);
    // a part of a larger buffer, which stays as it is
    const around = Buffer.concat([Buffer.alloc(99), bytes, Buffer.alloc(99)]);
    const part = around.subarray(99, 99 + bytes.length);
    await expect(pool.check({ ...asked, source: { bytes: part } })).resolves.toEqual(expected);
    expect(part.equals(bytes)).toBe(true);
  });

  it('refuse with code and sentence', async () => {
    const pool = checker();
    for (const asked of [
      request(writeZip([file('GO.MOD')])),
      request(writeZip([file('GO.MOD'), file('big', { content: zeros, packed: packedZeros })])),
    ]) {
      await expect(pool.check(asked)).rejects.toMatchObject({
        name: 'LarderError',
        code: 'bad_content',
        message: expect.stringMatching(/"GO.MOD": go.mod is written in lower case/) as string,
      });
    }
    const missing = { ...request(large()), source: { path: '/nowhere/m.zip' } };
    await expect(pool.check(missing)).rejects.toMatchObject({ code: 'store_failed' });
  });

  it('leave the event loop free', async () => {
    const pool = checker();
    const asked = request(large());
    let settled = false;
    const result = pool.check(asked).finally(() => {
      settled = true;
    });
    let turns = 0;
    const turn = (): void => {
      if (settled) return;
      turns++;
      setImmediate(turn);
    };
    setImmediate(turn);
    await result;
    expect(turns).toBeGreaterThan(10);
  });

  it('start no thread for tiny zips, and no more threads than allowed', async () => {
    const threads = startedThreads();
    const pool = checker(2);
    const tiny = writeZip([goMod]);
    await pool.check({ ...request(tiny), source: { bytes: tiny } });
    expect(threads).toHaveLength(0);

    const asked = request(large());
    const results = await Promise.all(Array.from({ length: 6 }, () => pool.check(asked)));
    expect(new Set(results.map(({ h1 }) => h1)).size).toBe(1);
    expect(threads).toHaveLength(2);
  });

  it('end first come, first served', async () => {
    const pool = checker(1);
    const asked = request(large());
    const ended: number[] = [];
    const small = request(writeZip([goMod]));
    await Promise.all([
      pool.check(asked).then(() => ended.push(0)),
      pool.check(small).then(() => ended.push(1)),
      pool.check(small).then(() => ended.push(2)),
    ]);
    expect(ended).toEqual([0, 1, 2]);
  });

  it('are given up with the reason of the signal, waiting or under way', async () => {
    const threads = startedThreads();
    const pool = checker(1);
    const asked = request(large());
    const reason = new Error('nobody waits');
    await expect(pool.check(asked, AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(threads).toHaveLength(0);

    const abort = new AbortController();
    const first = pool.check(asked, abort.signal);
    const second = pool.check(asked, abort.signal);
    const third = pool.check(asked);
    abort.abort(reason);
    await expect(first).rejects.toBe(reason);
    await expect(second).rejects.toBe(reason);
    await expect(third).resolves.toHaveProperty('h1');
    expect(threads).toHaveLength(1);
  });

  it('fail with their thread, which is replaced', async () => {
    const threads = startedThreads();
    const pool = checker(1);
    const asked = request(large());
    const first = pool.check(asked);
    const second = pool.check(asked);
    const failed = expect(first).rejects.toMatchObject({
      name: 'LarderError',
      code: 'overloaded',
      message: expect.stringMatching(/broke off/) as string,
    });
    await threads[0]?.terminate();
    await failed;
    await expect(second).resolves.toHaveProperty('h1');
    expect(threads).toHaveLength(2);
  });

  it('fail when the checker is closed, and so do later ones', async () => {
    const threads = startedThreads();
    const pool = checker(1);
    const asked = request(large());
    const checks = [pool.check(asked), pool.check(asked)];
    const failed = Promise.all(
      checks.map((one) => expect(one).rejects.toMatchObject({ code: 'overloaded' })),
    );
    await pool.close();
    await failed;
    await expect(pool.check(asked)).rejects.toThrow(/being stopped/);
    await eventually('the thread has ended', () => threads[0]?.threadId === -1);
  });
});

describe('a process that checks zips', () => {
  it('ends by itself, and needs little memory for a zip of 150 MB', async () => {
    const folder = tempDir();
    const noise = path.join(folder, 'noise.zip');
    const stored = zipOf([[inModule('noise'), Body.noise(150e6)]]);
    await pipeline(Readable.from(stored.read()), createWriteStream(noise));
    const deflated = path.join(folder, 'zeros.zip');
    writeFileSync(deflated, writeZip([file('zeros', { content: Buffer.alloc(200e6) })]));

    // Its peak is that of a process of its own, in kibibytes.
    const script = `
      import { statSync } from 'node:fs';
      import { ZipChecker } from ${JSON.stringify(new URL('../../src/go/zip-checker.ts', import.meta.url).href)};
      const checker = new ZipChecker();
      const before = process.resourceUsage().maxRSS;
      let bytes = 0;
      for (const path of process.argv.slice(1)) {
        const size = statSync(path).size;
        const { unpackedBytes } = await checker.check({ source: { path }, size, module: '${MODULE}', version: '${VERSION}' });
        bytes += unpackedBytes;
      }
      console.log(JSON.stringify({ bytes, grownMib: (process.resourceUsage().maxRSS - before) / 1024 }));
    `;
    const { stdout } = await promisify(execFile)(process.execPath, [
      '--input-type=module',
      '--eval',
      script,
      noise,
      deflated,
    ]);
    const { bytes, grownMib } = JSON.parse(stdout) as { bytes: number; grownMib: number };
    expect(bytes).toBe(350e6);
    expect(grownMib).toBeLessThan(150);
  });
});
