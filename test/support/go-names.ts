import fc from 'fast-check';
import { checkModulePath } from '../../src/go/module-path.ts';

const host = fc.constantFrom('example.com', 'a.b', 'gopkg.in', 'git-1.corp.example', '1.2.3.4');
const element = fc.oneof(
  fc.stringMatching(/^[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,12}$/),
  fc.constantFrom(
    'v2',
    'v10',
    'list',
    'latest',
    'sumdb',
    'conx',
    'M',
    'm',
    'yaml.v2',
    'y.v3-unstable',
  ),
);

/** Module paths that Go allows. */
export const modulePaths = fc
  .tuple(host, fc.array(element, { maxLength: 5 }))
  .map(([first, rest]) => [first, ...rest].join('/'))
  .filter((path) => checkModulePath(path) === undefined);

const identifiers = (mark: string) =>
  fc
    .array(fc.stringMatching(/^([1-9]\d{0,3}|[a-zA-Z-][a-zA-Z0-9-]{0,5})$/), { maxLength: 3 })
    .map((list) => (list.length === 0 ? '' : mark + list.join('.')));
const number = fc.oneof(fc.nat(3), fc.nat(30)).map(String);
const stamp = fc.constantFrom(
  '20240102030405',
  '20191109021931',
  '00000000000000',
  '20240230000000',
);
const revision = fc.stringMatching(/^[0-9a-f]{12}$/);

/** Semantic versions of all kinds: releases, pre-releases, pseudo-versions, with and without build metadata. */
export const semanticVersions = fc.oneof(
  fc
    .tuple(number, number, number, identifiers('-'), identifiers('+'))
    .map(([x, y, z, pre, build]) => `v${x}.${y}.${z}${pre}${build}`),
  fc
    .tuple(
      number,
      fc.constantFrom(
        '.0.0-',
        '.1.2-0.',
        '.0.0-0.',
        '.3.0-rc.1.0.',
        '.0.1-',
        '.1.2-pre.',
        '.0.0--0.',
      ),
      stamp,
      revision,
      fc.constantFrom('', '+incompatible'),
    )
    .map(([x, middle, time, commit, build]) => `v${x}${middle}${time}-${commit}${build}`),
);
