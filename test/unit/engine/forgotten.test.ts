// Answers, questions and failures that are out of date while they are under way, or remembered.

import { describe, expect, test } from 'vitest';
import { LocalLock } from '../../../src/coordination/local-lock.ts';
import {
  content,
  engine,
  failure,
  MemoryStore,
  offline,
  online,
  Question,
  told,
} from '../../support/engine.ts';
import { Gate } from '../../support/faults.ts';
import { eventually } from '../../support/tmp.ts';

const minute = 60_000;
const isList = (key: string) => key === 'list';
describe('an answer that is purged while it is asked for', () => {
  test('is for those who wait; the next one asks anew, at once', async () => {
    const one = engine();
    const list = Object.assign(new Question('list', 'old'), { gate: new Gate() });
    const first = told(one.pull.answer(list, online));
    await list.gate.reached;
    await one.pull.forget(isList);
    const anew = new Question('list', 'new');
    expect(await told(one.pull.answer(anew, online))).toEqual(['miss', 'new', minute]);
    list.gate.open();
    expect(await first).toEqual(['miss', 'old', minute]);
    expect(await told(one.pull.answer(anew, offline))).toEqual(['hit', 'new', minute]);
    const restarted = engine({ store: one.store });
    expect(await told(restarted.pull.answer(anew, offline))).toEqual(['hit', 'new', minute]);
  });

  test('has a failure that is remembered nowhere', async () => {
    const one = engine();
    const list = Object.assign(new Question('list', failure('not_found')), { gate: new Gate() });
    const first = told(one.pull.answer(list, online));
    await list.gate.reached;
    await one.pull.forget(isList);
    list.gate.open();
    await expect(first).rejects.toMatchObject({ code: 'not_found' });
    const anew = new Question('list', 'new');
    expect(await told(one.pull.answer(anew, online))).toEqual(['miss', 'new', minute]);
  });

  test('waits for no lease of another replica', async () => {
    const shared = { store: new MemoryStore(), lock: new LocalLock() };
    const [one, two] = [engine(shared), engine(shared)];
    const list = Object.assign(new Question('list', 'old'), { gate: new Gate() });
    const leading = told(one.pull.answer(list, online));
    await list.gate.reached;
    const other = new Question('list', 'other');
    const waiting = told(two.pull.answer(other, online));
    // it has looked into the store, and stands behind the other
    await eventually('it has read', () => shared.store.calls.length >= 2);
    await new Promise(setImmediate);
    await two.pull.forget(isList);
    expect(await waiting).toEqual(['miss', 'other', minute]);
    expect(shared.store.documents.size).toBe(0);
    list.gate.open();
    await leading;
  });
});

describe('an answer that is expired while it is asked for', () => {
  test.each([
    ['holds what it lacked', 'old new', 'hit', 1],
    ['lacks it', 'old', 'revalidated', 2],
  ])('is waited for, and asked for again unless it %s', async (_, says, outcome, times) => {
    const { pull } = engine();
    const list = Object.assign(new Question('list', says), { gate: new Gate() });
    const first = told(pull.answer(list, online));
    await list.gate.reached;
    const expired = pull.expire('list', (bytes) => Buffer.from(bytes).includes('new'));
    const beside = told(pull.answer(list, online));
    list.gate.open();
    expect(await first).toEqual(['miss', says, minute]);
    expect(await beside).toEqual(['miss', says, minute]);
    await expired;
    expect(await told(pull.answer(list, online))).toEqual([outcome, says, minute]);
    expect(list.asked).toBe(times);
  });

  test('was not there, and is asked for again', async () => {
    const { pull } = engine();
    const list = Object.assign(new Question('list', failure('not_found')), { gate: new Gate() });
    const first = told(pull.answer(list, online));
    await list.gate.reached;
    const expired = pull.expire('list', () => false);
    list.gate.open();
    await expect(first).rejects.toMatchObject({ code: 'not_found' });
    await expired;
    list.says = 'new';
    expect(await told(pull.answer(list, online))).toEqual(['miss', 'new', minute]);
  });
});

describe('what is purged', () => {
  test('stays away when a check of it fails', async () => {
    const { pull, clock, store } = engine();
    const list = new Question('list', 'old');
    await pull.answer(list, online);
    clock.advance(minute);
    Object.assign(list, { gate: new Gate(), says: failure('upstream_failed') });
    const late = told(pull.answer(list, online));
    await list.gate?.reached;
    await pull.forget(isList);
    await store.delete('list');
    list.gate?.open();
    // who asked before gets what there was
    expect(await late).toEqual(['stale', 'old', 0]);
    expect(store.documents.size).toBe(0);
    await expect(pull.answer(list, offline)).rejects.toMatchObject({ code: 'not_cached' });
  });

  test('is in the store when it is forgotten, where it is being written', async () => {
    const { pull, store } = engine();
    const gate = store.hold('writeDocument');
    const list = new Question('list', 'old');
    const waiting = told(pull.answer(list, online));
    await gate.reached;
    store.holdNoMore('writeDocument');
    let isForgotten = false;
    const forgotten = pull.forget(isList).then(() => {
      isForgotten = true;
    });
    await new Promise(setImmediate);
    expect(isForgotten).toBe(false);
    gate.open();
    await forgotten;
    expect(store.documents.has('list')).toBe(true);
    expect(await waiting).toEqual(['miss', 'old', minute]);
    await store.delete('list');
    await expect(pull.answer(list, offline)).rejects.toMatchObject({ code: 'not_cached' });
  });

  test('is asked for again although it was not there, and nothing else is', async () => {
    const { pull } = engine();
    const lists = ['list', 'other'].map((key) => new Question(key, failure('not_found')));
    for (const one of lists)
      await expect(pull.answer(one, online)).rejects.toMatchObject({ outcome: 'miss' });
    await pull.forget(isList);
    const outcomes = ['miss', 'negative'];
    for (const [i, one] of lists.entries())
      await expect(pull.answer(one, online)).rejects.toMatchObject({ outcome: outcomes[i] });
  });

  test('has a length that is asked for again', async () => {
    const { pull } = engine();
    const gate = new Gate();
    const before = content('zip', Buffer.from('old'), { gate, error: failure('not_found') });
    const late = pull.head(before, online);
    await gate.reached;
    await pull.forget((key) => key === 'zip');
    const after = await pull.head(content('zip', Buffer.from('newer')), online);
    expect(after.body.size).toBe(5);
    gate.open();
    await expect(late).rejects.toMatchObject({ code: 'not_found' });
    expect((await pull.head(content('zip', Buffer.from('newer')), online)).body.size).toBe(5);
  });
});

test('who waits for a lease when the server stops is told so', async () => {
  const shared = { store: new MemoryStore(), lock: new LocalLock() };
  const [one, two] = [engine(shared), engine(shared)];
  const list = Object.assign(new Question('list', 'old'), { gate: new Gate() });
  const leading = told(one.pull.answer(list, online));
  await list.gate.reached;
  const waiting = told(two.pull.answer(new Question('list', 'other'), online));
  await eventually('it has read', () => shared.store.calls.length >= 2);
  await new Promise(setImmediate);
  two.pull.close();
  await expect(waiting).rejects.toMatchObject({ code: 'overloaded' });
  list.gate.open();
  await leading;
});
