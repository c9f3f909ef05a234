// What every fetcher of Go modules promises, run against each of them.

import { describe, expect, it } from 'vitest';
import { LarderError } from '../../src/engine/errors.ts';
import type { GoFetcher } from '../../src/go/fetcher.ts';
import { readAll } from '../../src/http/download.ts';

/** A place that has `module` in versions v1.0.0 and v1.1.0, and in it nothing else. */
export interface FetcherUnderTest {
  readonly fetcher: GoFetcher;
  readonly module: string;
  /** Whether it can tell a length without the bytes. */
  readonly knowsSizes: boolean;
  /** Whether it has `@latest`, or leaves that to the list. */
  readonly hasLatest: boolean;
  /** Makes it unreachable. */
  readonly breakDown: () => Promise<void>;
}

const never = new AbortController().signal;

const codeOf = (error: unknown) => (error instanceof LarderError ? error.code : error);

export function fetcherContract(name: string, make: () => Promise<FetcherUnderTest>): void {
  describe(`fetcher: ${name}`, async () => {
    const { fetcher, module, knowsSizes, hasLatest, breakDown } = await make();
    const escaped = module.replace(/[A-Z]/g, (letter) => `!${letter.toLowerCase()}`);
    const fetch = async (what: string) => {
      const fetched = await fetcher.fetch(`/${escaped}/${what}`, never);
      expect(fetched.source).toBe(fetcher.source);
      const bytes = await readAll(fetched.body, 2 ** 20);
      expect(fetched.size ?? bytes.length).toBe(bytes.length);
      return bytes.toString();
    };

    it('has a name without credentials', () => {
      expect(fetcher.source).toMatch(/^[!-~]+$/);
      expect(fetcher.source).not.toContain('@');
    });

    it('lists the versions, a line each', async () => {
      expect((await fetch('@v/list')).trim().split('\n').sort()).toEqual(['v1.0.0', 'v1.1.0']);
    });

    it('gets the three files of a version', async () => {
      expect(JSON.parse(await fetch('@v/v1.1.0.info'))).toMatchObject({
        Version: 'v1.1.0',
        Time: expect.stringMatching(/^\d{4}-/) as string,
      });
      expect(await fetch('@v/v1.1.0.mod')).toContain(`module ${module}\n`);
      expect(await fetch('@v/v1.1.0.zip')).toMatch(/^PK/);
    });

    it('gets the same bytes again, and those of another version for another', async () => {
      const zip = await fetch('@v/v1.0.0.zip');
      expect(await fetch('@v/v1.0.0.zip')).toBe(zip);
      expect(await fetch('@v/v1.1.0.zip')).not.toBe(zip);
    });

    it('may be asked for all files of a version at once', async () => {
      const both = await Promise.all(
        ['info', 'mod', 'zip', 'zip'].map((ext) => fetch(`@v/v1.0.0.${ext}`)),
      );
      expect(both[2]).toBe(both[3]);
    });

    it.runIf(hasLatest)('knows the latest version', async () => {
      expect(JSON.parse(await fetch('@latest'))).toMatchObject({ Version: 'v1.1.0' });
    });

    it('tells what is there without its bytes, and its length if it can', async () => {
      const size = await fetcher.fetchSize(`/${escaped}/@v/v1.0.0.mod`, never);
      expect(size).toBe(knowsSizes ? (await fetch('@v/v1.0.0.mod')).length : undefined);
    });

    it.for(['@v/v1.9.0.info', '@v/v1.9.0.mod', '@v/v1.9.0.zip', '@v/nosuchbranch.info'])(
      'says not_found of %s, by either way',
      async (what) => {
        const path = `/${escaped}/${what}`;
        expect(await fetcher.fetch(path, never).catch(codeOf)).toBe('not_found');
        expect(await fetcher.fetchSize(path, never).catch(codeOf)).toBe('not_found');
      },
    );

    it('leaves off when its body is left', async () => {
      const { body } = await fetcher.fetch(`/${escaped}/@v/v1.0.0.zip`, never);
      for await (const chunk of body) {
        expect(chunk.length).toBeGreaterThan(0);
        break;
      }
      expect(await fetch('@v/v1.0.0.zip')).toMatch(/^PK/);
    });

    it('throws the reason of a signal that has aborted', async () => {
      const reason = new Error('nobody waits');
      const path = `/${escaped}/@v/v1.0.0.mod`;
      const signal = AbortSignal.abort(reason);
      await expect(fetcher.fetch(path, signal)).rejects.toBe(reason);
    });

    it('says upstream_failed when it cannot be reached, not that something is not there', async () => {
      await breakDown();
      const path = `/${escaped}/@v/v1.2.0.info`;
      expect(await fetcher.fetch(path, never).catch(codeOf)).toBe('upstream_failed');
    });
  });
}
