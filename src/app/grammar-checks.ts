import { parseRedisUrl } from '../coordination/redis-url.ts';
import { messageOf } from '../engine/errors.ts';
import { compileModulePattern } from '../go/module-patterns.ts';
import { parseSumdbSetting } from '../go/sumdb/config.ts';
import { parseOciUpstreams, parseRealms } from '../oci/upstreams.ts';
import type { Check } from './setting-values.ts';
import type { Checks } from './settings.ts';
import { parseUpstreams } from './go-fetchers.ts';

/** The end of a sentence that begins with the setting's name. */
const refusedBy =
  (parse: (value: string) => unknown): Check =>
  (value) => {
    try {
      parse(value);
      return undefined;
    } catch (error) {
      return `is not usable: ${messageOf(error)}`;
    }
  };

/** The grammars of the protocols' settings, so that a bad one is told with all other problems. */
export const grammarChecks: Checks = {
  checkUpstream: refusedBy(parseUpstreams),
  checkSumdb: refusedBy(parseSumdbSetting),
  checkPattern: refusedBy(compileModulePattern),
  checkOciUpstreams: refusedBy(parseOciUpstreams),
  checkOciRealms: refusedBy(parseRealms),
  checkRedisUrl: refusedBy(parseRedisUrl),
};
