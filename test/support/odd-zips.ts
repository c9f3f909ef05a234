// Zips of example.com/m@v1.0.0 that try every rule, as a table: which are taken, and what is said of those that are not.

import { deflateRawSync } from 'node:zlib';
import { writeZip, type EntrySpec, type ZipSpec } from './zip.ts';

export const MODULE = 'example.com/m';
export const VERSION = 'v1.0.0';
const MIB = 1024 * 1024;

export interface OddZip {
  readonly title: string;
  readonly bytes: Buffer;
  /** What the refusal says; undefined when the zip is taken. */
  readonly refused: RegExp | undefined;
  /** The go command takes it all the same. */
  readonly strict?: boolean;
}

export const inModule = (path: string): string => `${MODULE}@${VERSION}/${path}`;

export const goMod: EntrySpec = { name: inModule('go.mod'), content: `module ${MODULE}\n` };

/** A file of the module. */
export const file = (path: string, more: Omit<EntrySpec, 'name'> = {}): EntrySpec => ({
  name: inModule(path),
  content: `the content of ${path.slice(0, 40)}\n`,
  ...more,
});

const taken = (title: string, entries: readonly EntrySpec[], spec?: ZipSpec): OddZip => ({
  title,
  bytes: writeZip(entries, spec),
  refused: undefined,
});

const refused = (
  title: string,
  says: RegExp,
  entries: readonly EntrySpec[],
  spec?: ZipSpec,
): OddZip => ({ title, bytes: writeZip(entries, spec), refused: says });

const raw = (title: string, says: RegExp, bytes: Buffer): OddZip => ({
  title,
  bytes,
  refused: says,
});

const good = writeZip([goMod, file('m.go'), file('sub/n.go')]);
const zeros = (bytes: number): Buffer => Buffer.alloc(bytes);
/** Deflated data of so many zeros that never ends. */
const endless = (bytes: number): Buffer => deflateRawSync(zeros(bytes)).subarray(0, -2);
const big = Buffer.from('0123456789abcdef'.repeat((3 * MIB) / 16 + 3));
/** Empty stored blocks, and the last one: 5 bytes each that unpack to nothing. */
const emptyBlocks = (count: number): Buffer =>
  Buffer.concat([
    Buffer.from('000000ffff'.repeat(count - 1), 'hex'),
    Buffer.from('010000ffff', 'hex'),
  ]);

const takenZips = (): OddZip[] => [
  taken('a plain one', [goMod, file('m.go'), file('sub/n.go'), file('LICENSE')]),
  taken('none of its files', []),
  taken('without go.mod', [file('m.go')]),
  taken('stored entries', [
    goMod,
    file('m.go', { method: 0 }),
    file('big', { content: big, method: 0 }),
  ]),
  taken('empty files, stored and deflated', [
    goMod,
    file('a', { content: '' }),
    file('b', { content: '', method: 8 }),
  ]),
  taken('folders, one twice, and the module itself', [
    { name: inModule('') },
    { name: inModule('') },
    { name: inModule('dir/') },
    { name: inModule('dir/') },
    file('dir/a.go'),
    { name: inModule('dir/') },
    { name: inModule('go.mod/') },
  ]),
  taken('a folder with packed data that claims to be nothing', [
    goMod,
    { name: inModule('dir/'), packed: Buffer.from([3, 0]), method: 8 },
  ]),
  taken('names of all kinds', [
    goMod,
    file('with space.txt'),
    file('ünïcödé/漢字.txt'),
    file('!#$%&()+,-.=@[]^_{}~'),
    file('.hidden'),
    file('.github/x..y'),
    file('vendor/x/y.go'),
    file('xgo.mod'),
    file('sub/go.mod.txt'),
    file('dir/LICENSE'),
    file('UPPER/Mixed.go'),
    file('-dash'),
    file('short~1'),
    file(`long/${'x'.repeat(200)}`),
    file(`${'d/'.repeat(300)}deep`),
  ]),
  taken('names in the order of bytes, not of UTF-16', [
    file('ﬀ.txt'),
    file('𠀀.txt'),
    file('a.txt'),
    file('a/b.txt'),
    file('a-b.txt'),
    file('Z.txt'),
    file('豈.txt'),
  ]),
  taken('letters that look alike but do not fold together', [
    file('i'),
    file('ı'),
    file('ß'),
    file('ss'),
    file('ŉ'),
    file('ΐ'),
  ]),
  taken('comments, on the zip and on an entry', [goMod, file('m.go', { comment: 'ours' })], {
    comment: 'PK and more',
  }),
  taken('bytes behind the end', [goMod], { behind: Buffer.from('garbage') }),
  taken('64 KiB of comment', [goMod, file('m.go')], { comment: 'c'.repeat(65_535) }),
  taken('bytes before the first entry', [goMod, file('m.go')], {
    before: Buffer.from('#!/bin/sh\nexit 1\n'),
  }),
  taken('a wrong directory size, its offset being right', [goMod], { declaredDirectorySize: 30 }),
  taken('another disk number', [goMod], { declaredDisk: 7 }),
  taken('a symbolic link, as a file', [goMod, file('link', { attributes: 0o120777 * 65_536 })]),
  taken('a zip64 end record', [goMod, file('m.go')], { zip64: true }),
  taken('a zip64 end record behind bytes', [goMod, file('m.go')], {
    zip64: true,
    before: Buffer.from('before'),
  }),
  taken('zip64 entries', [goMod, file('m.go', { zip64: true })]),
  taken('broken and foreign extra fields', [
    goMod,
    file('a', { extra: Buffer.from('55540500030102', 'hex') }),
    file('b', { extra: Buffer.from('0100ff00', 'hex') }),
    file('c', { extra: Buffer.from([1, 2, 3]) }),
    file('d', { extra: Buffer.from('01000000', 'hex'), localExtra: Buffer.from('0123', 'hex') }),
  ]),
  taken('data descriptors', [
    goMod,
    file('a', { descriptor: 'signed' }),
    file('b', { descriptor: 'bare' }),
    file('c', { content: big, descriptor: 'signed' }),
  ]),
  taken('an unknown CRC', [goMod, file('a', { declaredCrc: 0 })]),
  taken('another name in the local header', [goMod, file('a', { localName: '../../evil' })]),
  taken('a flag that says encrypted', [goMod, file('a', { flags: 0x841 })]),
  taken('bytes behind deflated data', [
    goMod,
    file('a', { content: 'x', packed: Buffer.concat([deflateRawSync('x'), zeros(9)]) }),
    file('b', { content: big, packed: Buffer.concat([deflateRawSync(big), zeros(MIB)]) }),
  ]),
  taken('a lot of packed data that is nothing', [
    goMod,
    file('a', { content: '', method: 8, packed: emptyBlocks(400_000) }),
  ]),
  taken(
    'a directory in another order than the data',
    [goMod, file('a', { content: big }), file('b')],
    {
      reversed: true,
    },
  ),
  taken('a go.mod of 16 MiB', [file('go.mod', { content: zeros(16 * MIB) })]),
];

const refusedZips = (): OddZip[] => [
  raw('nothing', /no zip/, Buffer.alloc(0)),
  raw('less than an end record', /no zip/, good.subarray(-21)),
  raw('HTML', /no zip/, Buffer.from('<html>this is no zip</html>'.repeat(50))),
  raw('a zip without its end', /no zip/, good.subarray(0, -30)),
  raw('a zip without its beginning', /local header/, good.subarray(40)),
  refused('another prefix', /does not begin with "example.com\/m@v1.0.0\/"/, [
    { name: 'wrong@v1.0.0/go.mod', content: 'x' },
  ]),
  refused('one file outside of the prefix', /"x\/y.go": its name does not begin/, [
    goMod,
    { name: 'x/y.go', content: 'x' },
  ]),
  refused('another version', /does not begin/, [{ name: `${MODULE}@v1.0.1/go.mod`, content: 'x' }]),
  refused('an empty name', /does not begin/, [goMod, { name: '', content: 'x' }]),
  refused('the module without its slash', /does not begin/, [{ name: `${MODULE}@${VERSION}` }]),
  ...[
    '../../evil.go',
    '..',
    './c.go',
    'a/../b',
    'a//b.go',
    '/etc/evil',
    '/',
    '//',
    'dir//',
    'a\\b.go',
    'a\n.go',
    'a\0b',
    'con.txt',
    'x/NUL',
    'aux/y',
    'dot./x',
    'a:b',
    'a*',
    'quo"te',
    "it's",
    'pipe|',
    'emoji😀',
    'space\u00a0',
    '\ufeffbom',
    'e\u0301',
    '\ufffd',
    'x/...',
  ].map((path) =>
    refused(
      `the name ${JSON.stringify(path)}`,
      /^the zip of [^ ]* is refused: entry ".*": .*(element|character|reserve)/,
      [goMod, file(path)],
    ),
  ),
  refused('a name that is no UTF-8', /character/, [
    goMod,
    { name: Buffer.concat([Buffer.from(inModule('a')), Buffer.of(0xff)]), content: 'x' },
  ]),
  refused('names equal but for case', /"A.go" and "a.go" differ in upper and lower case only/, [
    goMod,
    file('A.go'),
    file('a.go'),
  ]),
  refused('folders equal but for case', /"Sub" and "sub" differ/, [file('Sub/a'), file('sub/b')]),
  refused('a folder and a file equal but for case', /differ/, [file('X/a'), file('x')]),
  refused('names equal by folding: Kelvin', /differ/, [file('k'), file('\u212a')]),
  refused('names equal by folding: long s', /differ/, [file('ſ'), file('S')]),
  refused('names equal by folding: sigma', /differ/, [file('ς'), file('Σ')]),
  refused('names equal by folding: micro', /differ/, [file('µ'), file('μ')]),
  refused('names equal by folding: sharp s', /differ/, [file('ß'), file('ẞ')]),
  refused('names equal by folding: Cherokee', /differ/, [file('ꭰ'), file('Ꭰ')]),
  refused('names equal by folding: beyond the BMP', /differ/, [file('𐐀'), file('𐐨')]),
  refused('a file twice', /"a.go": the zip has this file more than once/, [
    file('a.go'),
    file('a.go'),
  ]),
  refused('a file that is a folder, file first', /"a" is both a file and a folder/, [
    file('a'),
    file('a/b.go'),
  ]),
  refused('a file that is a folder, folder first', /both/, [file('a/b.go'), file('a')]),
  refused('a file that is an empty folder', /both/, [{ name: inModule('a/') }, file('a')]),
  refused('a go.mod in a folder', /"sub\/go.mod": a go.mod may stand at the root/, [
    file('sub/go.mod'),
  ]),
  refused('a GO.MOD in a folder', /at the root/, [goMod, file('sub/GO.MOD')]),
  refused('GO.MOD', /lower case/, [file('GO.MOD')]),
  refused('a go.mod over 16 MiB', /"go.mod": it is larger than 16 MiB/, [
    file('go.mod', { content: zeros(16 * MIB + 1) }),
  ]),
  refused('a LICENSE over 16 MiB', /"LICENSE": it is larger than 16 MiB/, [
    file('LICENSE', { content: zeros(16 * MIB + 1) }),
  ]),
  refused('over 500 MiB by declared sizes', /500 MiB/, [
    file('a', { declaredUnpacked: 300 * MIB }),
    file('b', { declaredUnpacked: 201 * MIB }),
  ]),
  refused('a size beyond 2^63', /500 MiB|negative/, [
    file('a', { zip64: true, declaredUnpacked: 2n ** 64n - 5n }),
  ]),
  ...[0, 8].flatMap((method) =>
    [100, big.length].flatMap((size) => [
      refused(
        `declared too small: method ${String(method)}, ${String(size)} bytes`,
        /it is longer than/,
        [file('a', { content: big.subarray(0, size), method, declaredUnpacked: size - 1 })],
      ),
      refused(
        `declared too large: method ${String(method)}, ${String(size)} bytes`,
        /it is shorter than/,
        [file('a', { content: big.subarray(0, size), method, declaredUnpacked: size + 1 })],
      ),
      refused(
        `a wrong CRC: method ${String(method)}, ${String(size)} bytes`,
        /"a": its CRC-32 is wrong/,
        [file('a', { content: big.subarray(0, size), method, declaredCrc: 7 })],
      ),
    ]),
  ),
  refused('zeros without end', /longer|unpacked/, [
    file('a', { content: 'x', packed: endless(64 * MIB), declaredUnpacked: 1 }),
  ]),
  refused('zeros without end, declared large', /longer|unpacked/, [
    file('a', { content: 'x', packed: endless(64 * MIB), declaredUnpacked: 2 * MIB }),
  ]),
  refused('deflated data that is cut off', /cannot be unpacked/, [
    file('a', {
      content: 'x'.repeat(900),
      packed: deflateRawSync('x'.repeat(900)).subarray(0, -1),
    }),
  ]),
  refused('large deflated data that is cut off', /cannot be unpacked|shorter/, [
    file('a', { content: big, packed: deflateRawSync(big).subarray(0, -1) }),
  ]),
  refused('what is no deflated data', /cannot be unpacked/, [
    file('a', { packed: Buffer.alloc(40, 7) }),
  ]),
  refused('a deflated file without any data', /cannot be unpacked/, [
    file('a', { content: '', method: 8, packed: Buffer.alloc(0) }),
  ]),
  refused('bytes behind stored data', /longer/, [
    file('a', { content: 'x', method: 0, packed: Buffer.from('xx') }),
  ]),
  refused('an unknown method', /method 12/, [file('a', { method: 12 })]),
  refused('a folder with content', /"dir\/": a folder has content/, [
    { name: inModule('dir/'), content: 'x' },
  ]),
  refused('a folder without a local header', /local header/, [
    { name: inModule('dir/'), localSignature: 'PK\x03\x05' },
    goMod,
  ]),
  refused('a file without a local header', /local header/, [file('a', { localSignature: 'XXXX' })]),
  refused('an offset outside of the zip', /local header/, [file('a', { declaredOffset: 1e6 })]),
  refused('an offset below 0', /local header/, [file('a', { zip64: true, declaredOffset: -5 })]),
  refused('an unknown CRC, with a descriptor', /descriptor/, [
    file('a', { descriptor: 'signed', declaredCrc: 0 }),
  ]),
  refused('a descriptor with a wrong CRC', /descriptor/, [file('a', { descriptor: 'wrong' })]),
  refused('a descriptor that is not there', /descriptor/, [
    goMod,
    file('a', { descriptor: 'none' }),
  ]),
  refused('a zip64 extra field that is too short', /broken after 0 entries/, [
    file('a', {
      zip64: false,
      declaredPacked: 0xffffffff,
      extra: Buffer.from('0100040001020304', 'hex'),
    }),
  ]),
  refused('sizes of all ones without zip64', /broken after 1 entries/, [
    goMod,
    file('a', { declaredPacked: 0xffffffff }),
  ]),
  refused('fewer entries than declared', /broken after 2 entries/, [goMod, file('a')], {
    declaredCount: 3,
  }),
  refused('more entries than declared', /broken after 2 entries/, [goMod, file('a')], {
    declaredCount: 1,
  }),
  refused('a directory outside of the zip', /outside/, [goMod], { declaredDirectorySize: 4096 }),
  refused('a directory that ends with the zip', /outside|broken|cut off/, [], {
    declaredDirectorySize: 0,
    declaredCount: 1,
  }),
  refused('a comment that is cut off', /comment/, [goMod], { declaredCommentLength: 9 }),
  refused('a zip64 end record that is missing', /zip64/, [goMod], {
    zip64: true,
    declaredEnd64Offset: 5,
  }),
  refused('a zip64 locator of two disks', /outside/, [goMod], { zip64: true, declaredDisks: 2 }),
  refused('a zip64 end record far outside', /zip64/, [goMod], {
    zip64: true,
    declaredEnd64Offset: 2n ** 62n,
  }),
];

/** Crafted ones whose check costs more than their size: the go command takes them. */
const strictZips = (): OddZip[] => [
  {
    ...refused('entries that share bytes', /share bytes/, [
      file('a', { content: 'x'.repeat(5000), method: 0, declaredOffset: 0 }),
      file('b', {
        content: 'x'.repeat(5000),
        method: 0,
        packed: Buffer.alloc(0),
        declaredPacked: 5000,
        declaredOffset: 0,
      }),
    ]),
    strict: true,
  },
];

export const oddZips = (): OddZip[] => [...takenZips(), ...refusedZips(), ...strictZips()];
