import { describe, expect, test } from 'vitest';
import { parseSumdbSetting } from '../../../src/go/sumdb/config.ts';
import { newSigner } from '../../support/sumdb-log.ts';

const KNOWN = 'sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8';
const local = newSigner('localhost:8080').vkey;
const withPath = newSigner('sum.example.com/team-a').vkey;

describe('parseSumdbSetting', () => {
  test.each([
    ['sum.golang.org', 'sum.golang.org', undefined],
    ['  sum.golang.org\t', 'sum.golang.org', undefined],
    [KNOWN, 'sum.golang.org', undefined],
    [
      'sum.golang.org https://mirror.example.com/db/',
      'sum.golang.org',
      'https://mirror.example.com/db',
    ],
    ['sum.golang.google.cn', 'sum.golang.org', 'https://sum.golang.google.cn'],
    [`${KNOWN}   http://127.0.0.1:1234`, 'sum.golang.org', 'http://127.0.0.1:1234'],
    [local, 'localhost:8080', undefined],
    [withPath, 'sum.example.com/team-a', undefined],
  ])('%s', (text, name, url) => {
    const setting = parseSumdbSetting(text);
    if (setting === 'off') throw new Error('off');
    expect(setting).toMatchObject({ name, url });
    expect(setting.key.name).toBe(name);
  });

  test('the built-in name stands for the key that everybody knows', () => {
    const setting = parseSumdbSetting('sum.golang.org');
    expect(setting).toMatchObject({ key: { hash: 0x033de0ae } });
  });

  test('off', () => {
    expect(parseSumdbSetting('off')).toBe('off');
    expect(parseSumdbSetting(' off ')).toBe('off');
  });

  test.each([
    ['', /no checksum database/],
    ['sum.golang.org https://a https://b', /no checksum database/],
    ['off https://a', /key of the checksum database "off" is not known/],
    ['sum.example.com', /is not known/],
    ['sum.golang.google.cn https://a', /is not known/],
    [`${KNOWN}x`, /no checksum database key/],
    ['sum.golang.org ftp://a', /no http or https URL/],
    ['sum.golang.org nonsense', /no http or https URL/],
    ['sum.golang.org https://a/?q', /no http or https URL/],
    [newSigner('sum.example.com/').vkey, /no name of a checksum database/],
    [newSigner('/x').vkey, /no name of a checksum database/],
    [newSigner('a/../b').vkey, /no name of a checksum database/],
    [newSigner('user@host').vkey, /no name of a checksum database/],
    [newSigner('host?x').vkey, /no name of a checksum database/],
  ])('refuses %j', (text, why) => {
    expect(() => parseSumdbSetting(text)).toThrow(why);
    expect(() => parseSumdbSetting(text)).toThrow(expect.objectContaining({ code: 'invalid' }));
  });

  test('says nothing of a password in an address', () => {
    expect(() => parseSumdbSetting('sum.golang.org ftp://me:secret@host')).toThrow(/^(?!.*secret)/);
  });
});
