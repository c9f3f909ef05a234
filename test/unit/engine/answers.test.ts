import { describe, expect, test } from 'vitest';
import { Answers, confirmed, type Answer } from '../../../src/engine/answers.ts';
import { MemoryStore, sha256 } from '../../support/engine.ts';

const key = 'answers/go/example.com/m/list';
const says = (text: string) => ({ bytes: Buffer.from(text), source: 'http://upstream.test' });
const at = Date.parse('2026-01-02T03:04:05.000Z');
const confirm = (answers: Answers, text: string, previous: Answer | undefined, now: number) =>
  answers.keep(key, confirmed(says(text), previous, now));

function start() {
  const store = new MemoryStore();
  const answers = new Answers(store);
  /** As another process, or this one after a restart, finds it. */
  const elsewhere = () => new Answers(store).read(key);
  return { store, answers, elsewhere };
}

const text = (answer: { bytes: Uint8Array } | undefined) =>
  answer && Buffer.from(answer.bytes).toString();

describe('what is kept', () => {
  test.each(['', 'v1.0.0\n', 'two\n\nlines\n', '{"a":1}\n\0\xff'])(
    '%j, as it came',
    async (one) => {
      const { answers, elsewhere } = start();
      const kept = await confirm(answers, one, undefined, at);
      expect(kept).toEqual({
        bytes: Buffer.from(one),
        confirmedAt: at,
        record: {
          size: Buffer.byteLength(one),
          sha256: sha256(Buffer.from(one)),
          time: '2026-01-02T03:04:05.000Z',
          source: 'http://upstream.test',
          extra: {},
        },
      });
      expect(answers.peek(key)).toBe(kept);
      expect(await elsewhere()).toEqual(kept);
    },
  );

  test('keeps the time of bytes that come again the same', async () => {
    const { answers } = start();
    const first = await confirm(answers, 'a', undefined, at);
    const same = await confirm(answers, 'a', first, at + 5000);
    expect(same).toMatchObject({ confirmedAt: at + 5000, record: { time: first.record.time } });
    const other = await confirm(answers, 'b', same, at + 9000);
    expect(other.record.time).toBe('2026-01-02T03:04:14.000Z');
  });

  test('nothing of what is not there', async () => {
    const { answers } = start();
    expect(answers.peek(key)).toBeUndefined();
    expect(await answers.read(key)).toBeUndefined();
  });

  const spoiled: [string, (document: Buffer) => Buffer][] = [
    ['empty', () => Buffer.of()],
    ['zeros', (document) => Buffer.alloc(document.length)],
    ['cut', (document) => document.subarray(0, -1)],
    ['cut in its head', (document) => document.subarray(0, 20)],
    [
      'of other bytes',
      (document) => Buffer.from(document.map((b, i, a) => (i === a.length - 2 ? 0 : b))),
    ],
    ['no object', () => Buffer.from('null\nx')],
    ['without a record', () => Buffer.from('{"confirmedAt":1}\nx')],
  ];
  test.each(spoiled)('nothing of a document that is %s', async (_, spoil) => {
    const { store, answers } = start();
    await confirm(answers, 'v1.0.0\n', undefined, at);
    store.documents.set(key, spoil(Buffer.from(store.documents.get(key) ?? [])));
    expect(await answers.read(key)).toBeUndefined();
    expect(answers.peek(key)).toBeUndefined();
  });
});

describe('what changes', () => {
  test('a failed check is noted beside it, and gone with the next that goes well', async () => {
    const { answers, elsewhere } = start();
    const first = await confirm(answers, 'a', undefined, at);
    const failed = await answers.markFailed(key, first, at + 1);
    expect(failed).toEqual({ ...first, failedAt: at + 1 });
    expect(answers.peek(key)).toBe(failed);
    expect(await elsewhere()).toEqual(failed);
    expect(await confirm(answers, 'a', failed, at + 2)).not.toHaveProperty('failedAt');
  });

  test('it can be expired, known to this process or only to the store', async () => {
    const { store, answers, elsewhere } = start();
    await answers.expire(key);
    expect(store.documents.size).toBe(0);
    await confirm(answers, 'a', undefined, at);
    await answers.expire(key);
    expect(answers.peek(key)).toMatchObject({ expired: true });
    expect(text(answers.peek(key))).toBe('a');
    await confirm(answers, 'a', undefined, at);
    await new Answers(store).expire(key);
    expect(await elsewhere()).toMatchObject({ expired: true });
  });

  test('it can be forgotten', async () => {
    const { answers, elsewhere } = start();
    await confirm(answers, 'a', undefined, at);
    await answers.forget(key);
    expect(answers.peek(key)).toBeUndefined();
    expect(await elsewhere()).toBeUndefined();
  });

  test('what another process wrote is seen by a read', async () => {
    const { store, answers } = start();
    await confirm(answers, 'a', undefined, at);
    await confirm(new Answers(store), 'b', undefined, at);
    expect(text(await answers.read(key))).toBe('b');
    expect(text(answers.peek(key))).toBe('b');
  });

  test('a read that began before a change never brings the old back', async () => {
    const { store, answers } = start();
    await confirm(answers, 'old', undefined, at);
    const gate = store.hold('readDocument');
    const late = answers.read(key);
    await gate.reached;
    await confirm(answers, 'new', undefined, at);
    gate.open();
    expect(text(await late)).toBe('new');
    expect(text(answers.peek(key))).toBe('new');
  });
});

describe('what is purged', () => {
  const isKey = (one: string) => one === key;

  test('is out of memory, and nothing else is', async () => {
    const { answers } = start();
    await confirm(answers, 'a', undefined, at);
    await answers.keep('other', confirmed(says('b'), undefined, at));
    await answers.forgetAll(isKey);
    expect(answers.peek(key)).toBeUndefined();
    expect(text(answers.peek('other'))).toBe('b');
  });

  test.each(['read', 'expire'] as const)('does not come back by a %s under way', async (how) => {
    const { store, answers, elsewhere } = start();
    await confirm(new Answers(store), 'a', undefined, at);
    const gate = store.hold('readDocument');
    const late = answers[how](key);
    await gate.reached;
    store.holdNoMore('readDocument');
    await answers.forgetAll(isKey);
    await store.delete(key);
    gate.open();
    expect(await late).toBeUndefined();
    expect(answers.peek(key)).toBeUndefined();
    expect(await elsewhere()).toBeUndefined();
  });

  test('is not being written any more', async () => {
    const { store, answers } = start();
    const gate = store.hold('writeDocument');
    const writing = confirm(answers, 'a', undefined, at);
    const other = answers.keep('other', confirmed(says('b'), undefined, at));
    await gate.reached;
    let isDone = false;
    const forgotten = answers.forgetAll(isKey).then(() => {
      isDone = true;
    });
    await answers.forgetAll((one) => one === 'nothing of it');
    expect(isDone).toBe(false);
    gate.open();
    await Promise.all([writing, other, forgotten]);
    expect(answers.peek(key)).toBeUndefined();
  });
});

describe('an answer that names content', () => {
  const kept = confirmed(says('a'), undefined, at);

  test('is known at once, and in the store when what refers to it is', async () => {
    const { store, answers } = start();
    const written = Promise.withResolvers<undefined>();
    const keeping = answers.keep(key, kept, () => written.promise);
    expect(answers.peek(key)).toBe(kept);
    let isForgotten = false;
    const forgotten = answers
      .forgetAll((one) => one === key)
      .then(() => {
        isForgotten = true;
      });
    await new Promise(setImmediate);
    expect([store.documents.has(key), isForgotten]).toEqual([false, false]);
    written.resolve(undefined);
    await Promise.all([keeping, forgotten]);
    expect(store.documents.has(key)).toBe(true);
  });

  test('is not stored where that cannot be written, and memory has it all the same', async () => {
    const { store, answers } = start();
    const down = new Error('down');
    await expect(answers.keep(key, kept, () => Promise.reject(down))).rejects.toBe(down);
    expect(store.documents.has(key)).toBe(false);
    expect(answers.peek(key)).toBe(kept);
  });
});

test('a store that cannot write is told, and memory has it all the same', async () => {
  const { store, answers } = start();
  store.refuse('writeDocument');
  const down = { code: 'store_failed' };
  await expect(confirm(answers, 'a', undefined, at)).rejects.toMatchObject(down);
  expect(text(answers.peek(key))).toBe('a');
  store.refuse('readDocument');
  await expect(answers.read(key)).rejects.toMatchObject(down);
});
