// The parts of the chart that are made of the program's own settings, so that the two cannot disagree.

import { readFileSync } from 'node:fs';
import { settingsSchema } from '../../src/app/settings.ts';

const root = new URL('../../', import.meta.url);

/** A file of the chart and the text that it must have. */
export interface MadeFile {
  readonly file: URL;
  readonly text: string;
}

interface Setting {
  readonly type: string;
  readonly enum?: readonly string[];
  readonly pattern?: string;
  readonly default?: string;
}

/** All of them, as they must be now. Throws an Error where a setting has no line in .env.example. */
export function madeFiles(): MadeFile[] {
  return [valuesSchema(), defaults()];
}

function valuesSchema(): MadeFile {
  const file = new URL('charts/larder/values.schema.json', root);
  const schema = JSON.parse(readFileSync(file, 'utf8')) as { properties: Record<string, unknown> };
  schema.properties['config'] = {
    $comment: 'Made of src/app/settings.ts by npm run chart:generate.',
    type: 'object',
    additionalProperties: false,
    properties: Object.fromEntries(
      Object.entries(settings()).map(([name, setting]) => [name, asValue(name, setting)]),
    ),
  };
  return { file, text: `${JSON.stringify(schema, null, 2)}\n` };
}

/** What templates need of the settings that are not given. */
function defaults(): MadeFile {
  const { LARDER_OCI_UPSTREAMS } = settings();
  const text = JSON.stringify({ LARDER_OCI_UPSTREAMS: LARDER_OCI_UPSTREAMS?.default }, null, 2);
  return { file: new URL('charts/larder/files/defaults.json', root), text: `${text}\n` };
}

const settings = () => settingsSchema().properties as Record<string, Setting>;

/** In a file of values true is a boolean and 0 a number, where the environment has texts alone. */
function asValue(name: string, { type, pattern, ...rest }: Setting): object {
  const description = meaningOf(name);
  const other = rest.enum?.map(plain).filter((value) => typeof value !== 'string') ?? [];
  if (other.length > 0) return { description, ...rest, enum: [...other, ...(rest.enum ?? [])] };
  if (pattern === undefined) return { description, type, ...rest };
  const isNumber = new RegExp(pattern).test('1');
  return { description, type: isNumber ? ['string', 'integer'] : type, pattern, ...rest };
}

const plain = (word: string): unknown =>
  /^(true|false|\d+)$/.test(word) ? JSON.parse(word) : word;

/** Its line in .env.example. */
function meaningOf(name: string): string {
  const example = readFileSync(new URL('.env.example', root), 'utf8');
  const [, meaning] = new RegExp(`^# (.+)\n# ${name}=`, 'm').exec(example) ?? [];
  if (meaning === undefined) throw new Error(`.env.example says nothing of ${name}.`);
  return meaning;
}
