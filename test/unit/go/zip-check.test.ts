import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LarderError } from '../../../src/engine/errors.ts';
import { checkTinyZip, checkZip, MAX_ZIP } from '../../../src/go/zip-check.ts';
import type { ZipSource } from '../../../src/go/zip-directory.ts';
import { foldCase } from '../../../src/go/zip-names.ts';
import { goMod, file, inModule, MODULE, oddZips, VERSION } from '../../support/odd-zips.ts';
import { tempDir } from '../../support/tmp.ts';
import { writeZip } from '../../support/zip.ts';

const sha256 = (content: string | Uint8Array): string =>
  createHash('sha256').update(content).digest('hex');

/** The h1 as its definition has it, of full names and contents. */
function h1Of(files: readonly (readonly [name: string, content: string | Uint8Array])[]): string {
  const lines = files
    .map(([name, content]) => ({ name: Buffer.from(name), line: `${sha256(content)}  ${name}\n` }))
    .sort((one, other) => Buffer.compare(one.name, other.name));
  const summary = createHash('sha256').update(lines.map(({ line }) => line).join(''));
  return `h1:${summary.digest('base64')}`;
}

const check = (bytes: Uint8Array, source: ZipSource = { bytes }) =>
  checkZip({ source, size: bytes.length, module: MODULE, version: VERSION });

const inFile = (bytes: Uint8Array): ZipSource => {
  const name = path.join(tempDir(), 'm.zip');
  writeFileSync(name, bytes);
  return { path: name };
};

describe('the rules of module zips', () => {
  for (const { title, bytes, refused } of oddZips()) {
    it(`${refused === undefined ? 'takes' : 'refuses'} ${title}`, async () => {
      for (const source of [{ bytes }, inFile(bytes)]) {
        if (refused === undefined) {
          await expect(check(bytes, source)).resolves.toHaveProperty('h1');
        } else {
          const error: unknown = await check(bytes, source).catch((thrown: unknown) => thrown);
          expect(error).toBeInstanceOf(LarderError);
          expect(error).toMatchObject({ code: 'bad_content', message: refused });
        }
      }
    });
  }

  it('refuses more than 500 MiB before it reads a byte', async () => {
    const source = { path: path.join(tempDir(), 'not there') };
    const request = { source, module: MODULE, version: VERSION };
    await expect(checkZip({ ...request, size: MAX_ZIP + 1 })).rejects.toThrow(/500 MiB/);
    await expect(checkZip({ ...request, size: MAX_ZIP })).rejects.toThrow(/cannot be read back/);
  });

  it('refuses more than 500,000 folders, however few the files', async () => {
    const deep = (name: string) => file(`${name}/${'d/'.repeat(30_000)}f`);
    const entries = Array.from({ length: 17 }, (_, at) => deep(`e${String(at)}`));
    await expect(check(writeZip(entries))).rejects.toThrow(/500,000/);
  });

  it('says one printable line of bounded length, whatever the names are', async () => {
    const name = `a\n\u202e\u0000${'long'.repeat(9000)}`;
    const error: unknown = await check(writeZip([file(name)])).catch((thrown: unknown) => thrown);
    expect((error as Error).message).toMatch(/^[\x20-\x7e…]{40,400}$/);
  });
});

describe('what is found', () => {
  it('is the h1, the hash of go.mod, the number of files and their size', async () => {
    const big = 'big '.repeat(400_000);
    const zip = writeZip([
      { name: inModule('') },
      file('z', { content: 'last' }),
      { name: inModule('dir/') },
      file('dir/big', { content: big }),
      goMod,
    ]);
    const mod = Buffer.from(goMod.content ?? '');
    expect(await check(zip)).toEqual({
      h1: h1Of([
        [inModule(''), ''],
        [inModule('z'), 'last'],
        [inModule('dir/'), ''],
        [inModule('dir/big'), big],
        [inModule('go.mod'), mod],
      ]),
      goModSha256: sha256(mod),
      files: 3,
      unpackedBytes: 4 + big.length + mod.length,
    });
  });

  it('has no go.mod where there is none at the root', async () => {
    expect((await check(writeZip([file('m.go')]))).goModSha256).toBeUndefined();
  });

  it('is the same for 20,000 files, from a file and from memory', async () => {
    const files = Array.from({ length: 20_000 }, (_, at) => {
      const name = `d${String(at % 97)}/f${String(at)}.go`;
      return file(name, { content: `package f${String(at)}\n`, method: 0 });
    });
    const zip = writeZip(files);
    const found = await check(zip, inFile(zip));
    expect(found).toEqual(await check(zip));
    expect(found.files).toBe(20_000);
    expect(found.h1).toBe(h1Of(files.map(({ name, content }) => [String(name), content ?? ''])));
  });

  it('is the h1 of any files in any order', async () => {
    const element = fc.stringMatching(/^[a-zA-Z0-9_漢ﬀ]{1,8}$/).map((text) => `${text}x`);
    const content = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.constant(new Uint8Array(70_000)),
    );
    const files = fc.uniqueArray(
      fc.record({ name: element, folder: element, content, method: fc.constantFrom(0, 8) }),
      { selector: ({ name }) => foldCase(name), maxLength: 30 },
    );
    await fc.assert(
      fc.asyncProperty(files, async (generated) => {
        const entries = generated.map(({ name, folder, content, method }) =>
          file(`in${foldCase(folder)}/${name}`, { content, method }),
        );
        const found = await check(writeZip(entries));
        expect(found.h1).toBe(h1Of(entries.map((e) => [String(e.name), e.content ?? ''])));
      }),
      { numRuns: 60 },
    );
  });

  it('is a result or a refusal for whatever bytes, never another error', async () => {
    const zip = writeZip(
      [goMod, file('a/b.go'), file('c', { descriptor: 'signed', zip64: true })],
      {
        zip64: true,
      },
    );
    const lie = fc.record({ at: fc.nat(zip.length - 1), byte: fc.nat(255) });
    await fc.assert(
      fc.asyncProperty(fc.array(lie, { minLength: 1, maxLength: 4 }), async (lies) => {
        const bytes = Buffer.from(zip);
        for (const { at, byte } of lies) bytes[at] = byte;
        await check(bytes).catch((error: unknown) => {
          expect(error).toMatchObject({ name: 'LarderError', code: 'bad_content' });
        });
      }),
      { numRuns: 500 },
    );
  });
});

describe('a source that breaks', () => {
  it('is told from a bad zip: it is not there, or shorter than announced', async () => {
    const zip = writeZip([goMod]);
    const request = { module: MODULE, version: VERSION, size: zip.length + 9 };
    for (const source of [inFile(zip), { path: '/nowhere/m.zip' }, { bytes: zip }]) {
      await expect(checkZip({ ...request, source })).rejects.toMatchObject({
        code: 'store_failed',
      });
    }
  });

  it('is read to the announced size and no further', async () => {
    const zip = writeZip([goMod]);
    const longer = inFile(Buffer.concat([zip, Buffer.from('more')]));
    await expect(check(zip, longer)).resolves.toEqual(await check(zip));
  });
});

describe('tiny zips', () => {
  const tiny = (bytes: Uint8Array) =>
    checkTinyZip({ source: { bytes }, size: bytes.length, module: MODULE, version: VERSION });

  it('are checked on the spot, with the same outcome', async () => {
    const zip = writeZip([goMod, file('m.go')]);
    expect(tiny(zip)).toEqual(await check(zip));
    expect(() => tiny(writeZip([file('GO.MOD')]))).toThrow(/lower case/);
  });

  it.each([
    ['packed', [file('a', { content: Buffer.alloc(70_000), method: 0 })]],
    ['unpacked', [file('a', { content: Buffer.alloc(300_000) })]],
    ['in number', Array.from({ length: 101 }, (_, at) => file(String(at)))],
  ])('are not those that are large %s', (_, entries) => {
    expect(tiny(writeZip(entries))).toBeUndefined();
  });
});

describe('case folding', () => {
  it.each([
    ['plain/path.go', 'plain/path.go'],
    ['Plain', 'plain'],
    ['[\\]^_`@{', '[\\]^_`@{'],
    ['\u212aelvin', 'kelvin'],
    ['ſ', 's'],
    ['Σίσυφος', foldCase('σΊΣΥΦΟΣ')],
    ['ϐϑϕϖϰϱϵ', foldCase('ΒΘΦΠΚΡΕ')],
    ['ẞ', foldCase('ß')],
    ['ꭰ', foldCase('Ꭰ')],
    ['ᲀ', foldCase('В')],
    ['ǅ', foldCase('ǆ')],
    ['ᾳ', foldCase('ᾼ')],
  ])('%s', (text, folded) => {
    expect(foldCase(text)).toBe(folded);
  });

  it.each(['ß ss', 'ı i', 'İ i', 'ŉ ʼn', 'ﬁ fi', 'é e'])('keeps apart: %s', (pair) => {
    const [one = '', other = ''] = pair.split(' ');
    expect(foldCase(one)).not.toBe(foldCase(other));
  });
});

describe('the check on the event loop', () => {
  // entries that unpack to more than the whole zip were left out of it once
  const long = 'x'.repeat(5000);

  it('hashes what unpacks to more than its zip, as the other one does', async () => {
    const bytes = writeZip([goMod, file('a.txt', { content: long })]);
    const request = { source: { bytes }, size: bytes.length, module: MODULE, version: VERSION };
    expect(bytes.length).toBeLessThan(long.length);
    expect(checkTinyZip(request)).toEqual(await checkZip(request));
  });

  it('refuses a declared size that is larger than the zip and the content', () => {
    const bytes = writeZip([
      goMod,
      { ...file('a.txt', { content: 'x'.repeat(50) }), declaredUnpacked: 5000 },
    ]);
    const request = { source: { bytes }, size: bytes.length, module: MODULE, version: VERSION };
    expect(() => checkTinyZip(request)).toThrow(/shorter than the zip declares/);
  });
});
