// The file of users: `user:hash` lines as `htpasswd -B` writes them. Hashes of other kinds are no protection any more.

import { LarderError } from '../engine/errors.ts';

/** Users and the bcrypt hashes of their passwords. */
export type Users = ReadonlyMap<string, string>;

/** A higher cost takes seconds a password, and has the next users wait for it. */
const HIGHEST_COST = 14;
const BCRYPT = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/;

/**
 * Reads a file of users. Throws LarderError `invalid` with the numbers of all lines that are wrong, and nothing of what
 * is in them.
 */
export function parseHtpasswd(file: Uint8Array): Users {
  const users = new Map<string, string>();
  const mistakes = new Map<string, number[]>();
  for (const [index, line] of textOf(file).split(/\r?\n/).entries()) {
    const entry = line.trim();
    if (entry === '' || entry.startsWith('#')) continue;
    const colon = entry.indexOf(':');
    const user = entry.slice(0, Math.max(0, colon));
    const hash = entry.slice(colon + 1);
    const mistake = users.has(user) ? 'a user that stands above already' : mistakeIn(user, hash);
    if (mistake === undefined) users.set(user, hash);
    else mistakes.set(mistake, [...(mistakes.get(mistake) ?? []), index + 1]);
  }
  if (mistakes.size > 0) throw invalid(sentenceOn(mistakes));
  if (users.size === 0) throw invalid('it has no user: add one with htpasswd -B FILE USER');
  return users;
}

function mistakeIn(user: string, hash: string): string | undefined {
  if (user === '') return 'no user before a colon';
  const [, cost] = BCRYPT.exec(hash) ?? [];
  if (cost === undefined || Number(cost) < 4)
    return 'no bcrypt hash (set that password anew with htpasswd -B FILE USER)';
  if (Number(cost) > HIGHEST_COST)
    return `a cost above ${String(HIGHEST_COST)}, which takes seconds at every log-in (set that password anew with htpasswd -B -C 10 FILE USER)`;
  return undefined;
}

function sentenceOn(mistakes: ReadonlyMap<string, readonly number[]>): string {
  return [...mistakes]
    .map(([mistake, lines]) =>
      lines.length === 1
        ? `line ${lines.join()} has ${mistake}`
        : `lines ${lines.join(', ')} have ${mistake}`,
    )
    .join('; ');
}

function textOf(file: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(file);
  } catch (cause) {
    throw invalid('it is no text in UTF-8', cause);
  }
}

const invalid = (sentence: string, cause?: unknown): LarderError =>
  new LarderError('invalid', sentence, { cause });
